"""services.note_signing_keys: what the ledger tells of keys, and how long one is published."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.tokens.keyring import current_key_ring, load_key_ring
from batchtokens.models import (
    EntryKind,
    LedgerEntry,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens_verifier.jws import Purpose
from tests import mandates
from tests.reissues import (
    DAILY,
    compromise,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


def test_keys_are_in_the_authoritys_chain(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    access = current_key_ring().signing_key(Purpose.ACCESS, timezone.now()).kid
    retire_signing_key(kid=access, reason="drill")

    chain = LedgerEntry.objects.filter(operation_token=None).order_by("seq")
    told = [(e.kind, json.loads(e.entry)["data"]["kid"]) for e in chain]
    assert [kind for kind, _ in told[: len(Purpose)]] == [EntryKind.KEY_ADDED] * len(Purpose)
    assert (EntryKind.KEY_COMPROMISED, issued.row.kid) in told
    assert (EntryKind.KEY_RETIRED, access) in told
    assert {kid for _, kid in told} == set(SigningKey.objects.values_list("kid", flat=True))


def test_a_superseded_key_is_published_until_its_last_token_ends(world: mandates.Savings) -> None:
    longest = mandates.issue(world, valid_to=mandates.in_days(40)).row
    mandates.issue(world)
    rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.OPERATION])

    def published(at: datetime) -> bool:
        return load_key_ring(now=at).has(longest.kid)

    assert published(longest.valid_to - timedelta(seconds=1))
    assert not published(longest.valid_to)
