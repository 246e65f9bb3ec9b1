"""A key is found out while somebody signs with it: what is committed late is disowned as well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.utils import timezone

from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.backend import SignedToken, Signer
from accounts.tokens.keyring import current_key_ring
from authproject.management.commands import retire_key
from batchtokens.models import OperationToken
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens_verifier.jws import Purpose
from tests import bulk, mandates
from tests.commands import ended
from tests.races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.race]
WORKS_ON = 4.0  # seconds after it has signed


@pytest.fixture
def world(settings: Any, monkeypatch: pytest.MonkeyPatch) -> mandates.Savings:
    """Make a world whose processes drop a key within a second."""
    settings.KEY_RING_TTL = timedelta(seconds=1)
    monkeypatch.setattr(retire_key, "SETTLING", 0.2)
    ensure_signing_keys()
    return mandates.savings()


def exchange(world: mandates.Savings) -> Callable[[], object]:
    request = mandates.exchange_request(world)
    return partial(exchange_access_token, by=world.trigger.client, request=request)


def create(world: mandates.Savings) -> Callable[[], object]:
    asked = OperationRequest("savings.deposit", mandates.OPERATION, mandates.constraints())
    return partial(create_operation, by=mandates.grant_of(world.alice), request=asked)


def in_bulk(world: mandates.Savings) -> Callable[[], object]:
    return partial(bulk.issue, bulk.line(), bulk.line())


def reissue(world: mandates.Savings) -> Callable[[], object]:
    """Sign anew with the present key, which is found out, too."""
    kid = mandates.issue(world).row.kid
    retire_signing_key(kid=kid, reason="the first one", compromised=True)
    return lambda: list(reissue_operations(among=reissuable(), reason="all honest"))


@pytest.mark.parametrize("signs", [exchange, create, in_bulk, reissue])
def test_what_is_committed_after_the_wait_is_disowned(
    world: mandates.Savings, signs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = signs(world)
    key = current_key_ring().signing_key(Purpose.OPERATION, timezone.now())
    signed, retired, real = Event(), Event(), Signer.sign_payload

    def sign_and_work_on(self: Signer, payload: str) -> SignedToken:
        made = real(self, payload)
        if self.key.purpose is Purpose.OPERATION and not signed.is_set():
            signed.set()
            retired.wait(timeout=WORKS_ON)
        return made

    def retire() -> object:
        assert signed.wait(timeout=30)
        found = ended("retire_key", key.kid, "--compromised", "--reason", "found out", "--yes")
        retired.set()
        return found

    monkeypatch.setattr(Signer, "sign_payload", sign_and_work_on)

    _, found = at_once(call, retire)

    assert OperationToken.objects.filter(kid=key.kid).exists()
    assert not OperationToken.objects.filter(kid=key.kid, disowned_at=None).exists()
    assert found.code == 0
    assert [finding for _, page in verify_ledger() for finding in page] == []
