"""Freezing, disowning, signing anew, cancelling, all at once with issues: none slips through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from accounts.models import EmailKind
from accounts.services.freeze_account import freeze_account
from accounts.services.queue_email import queue_email
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import HoldKind, LedgerEntry, OperationToken
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.disown import disown_operations
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens_verifier.errors import OperationTokenNotValid, ProblemError
from tests import bulk, mandates
from tests.mailbox import code_sent
from tests.races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.race]
AT_ONCE = 6


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


def outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except ProblemError as refusal:
        return refusal.code
    return "done"


def race(*calls: Callable[[], Any]) -> list[str]:
    return at_once(*(partial(outcome, call) for call in calls))


def kinds(row: OperationToken) -> list[str]:
    entries = LedgerEntry.objects.filter(operation_token=row).order_by("seq")
    return list(entries.values_list("kind", flat=True))


def check_ledger() -> None:
    assert [found for _, findings in verify_ledger() for found in findings] == []


def test_no_mandate_slips_through_a_freeze_unheld(world: mandates.Savings) -> None:
    queue_email(kind=EmailKind.PASSWORD_CHANGED, user=world.alice)
    freeze = partial(freeze_account, token=code_sent(to="alice@example.org"))
    asked = [mandates.exchange_request(world) for _ in range(AT_ONCE)]
    own = OperationRequest("savings.deposit", mandates.OPERATION, mandates.constraints())
    exchanges = [
        partial(exchange_access_token, by=world.trigger.client, request=each) for each in asked
    ]
    firsts = [partial(create_operation, by=mandates.grant_of(world.alice), request=own)] * 2

    in_bulk = partial(bulk.issue, bulk.line(), bulk.line())

    found = race(*exchanges[:3], freeze, *exchanges[3:], *firsts, in_bulk)

    assert found[3] == "done"
    assert {tuple(row.holds) for row in OperationToken.objects.all()} <= {("user",)}
    check_ledger()


def test_nothing_counts_that_a_stolen_key_signs_meanwhile(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process still believes the key, and signs with it."""
    ring = current_key_ring()
    for module in ("batchtokens.services.redemption.redeem", "accounts.tokens.backend"):
        monkeypatch.setattr(f"{module}.current_key_ring", lambda **_: ring)
    old = [mandates.issue(world) for _ in range(AT_ONCE)]
    kid = old[0].row.kid
    asked = [mandates.exchange_request(world) for _ in range(AT_ONCE)]
    redeems = [partial(mandates.redeem, world, each, f"run {n}") for n, each in enumerate(old)]
    issues = [
        partial(exchange_access_token, by=world.trigger.client, request=each) for each in asked
    ]
    retire = partial(retire_signing_key, kid=kid, reason="drill", compromised=True)

    found = race(*redeems[:3], *issues[:3], retire, *redeems[3:], *issues[3:])
    disown_operations(kid=kid, reason="what was signed meanwhile")

    assert found[6] == "done"
    for row in OperationToken.objects.all():
        assert row.disowned_at is not None
        assert kinds(row) in (["issued", "disowned"], ["issued", "reserved", "disowned"])
    for each in old:
        with pytest.raises(OperationTokenNotValid):
            mandates.redeem(world, each, "another run")
    check_ledger()


def test_a_cancel_beside_a_new_signature_is_final(world: mandates.Savings) -> None:
    issued = [mandates.issue(world) for _ in range(AT_ONCE)]
    retire_signing_key(kid=issued[0].row.kid, reason="drill", compromised=True)
    cancels = [
        partial(cancel_operation, operation_id=each.row.pk, by=HoldKind.USER) for each in issued[:4]
    ]

    def reissue() -> Any:
        return list(reissue_operations(among=reissuable(), reason="all honest"))

    found = race(*cancels[:2], reissue, *cancels[2:], reissue)

    assert set(found) == {"done"}
    cancelled = [OperationToken.objects.get(pk=each.row.pk) for each in issued[:4]]
    assert {kinds(row)[-1] for row in cancelled} == {"cancelled"}
    assert all(row.cancelled_at and row.cancellation for row in cancelled)
    lively = [OperationToken.objects.get(pk=each.row.pk) for each in issued[4:]]
    assert {tuple(kinds(row)) for row in lively} == {("issued", "disowned", "reissued")}
    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, Issued(issued[5].token, lively[1]))
    check_ledger()
