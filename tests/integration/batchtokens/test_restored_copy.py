"""A real copy of the whole database is put back: no slot that was redeemed since opens (I1, I2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.errors import HoldNotAllowed, LedgerBehind
from batchtokens.models import HoldKind, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.reconcile_ledger import accept_loss
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.redemption.settle import Closing, settle_redemption
from batchtokens_verifier.errors import OperationHeld, OperationTokenNotValid
from tests import ledgers, mandates
from tests.copies import copied

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Past:
    """What clients hold of before and after the copy was made."""

    world: mandates.Savings
    known: Issued
    unknown: Issued
    first: Any
    second: Any


@pytest.fixture
def past(settings: Any, tmp_path: Path) -> Iterator[Past]:
    """Redeem, copy, redeem more, settle, issue and seal; then go back to the copy."""
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.savings()
    known = ledgers.issue_daily(world)
    first = mandates.redeem(world, known, "first")
    Sealing().look()
    with copied(tmp_path) as put_back:
        second = mandates.redeem(world, known, "second")
        settle_redemption(by=world.redeemer, closing=Closing(second.redemption.pk, 1))
        unknown = ledgers.issue_daily(world)
        mandates.redeem(world, unknown, "third")
        Sealing().look()
        put_back()
        forget_sink()
        forget_key_ring()
        yield Past(world, known, unknown, first, second)


def findings() -> list[Any]:
    return [f for _, page in [*verify_ledger(), *verify_tree(whole_sink=True)] for f in page]


def test_nothing_is_decided_on_the_copy(past: Past) -> None:
    for issued, key in ((past.known, "first"), (past.known, "second"), (past.unknown, "third")):
        with pytest.raises(LedgerBehind):
            mandates.redeem(past.world, issued, key)
    with pytest.raises(LedgerBehind):
        Sealing().look()

    assert Redemption.objects.count() == 1
    assert [f.operation_id for f in findings()] == ["tree"]


def test_it_does_not_grow_past_the_lost_head(past: Past) -> None:
    """What is written meanwhile makes it larger than the head outside, not the same."""
    for _ in range(5):
        hold_operation(operation_id=past.known.row.pk, by=HoldKind.USER)
        resume_operation(operation_id=past.known.row.pk, by=HoldKind.USER)

    with pytest.raises(LedgerBehind):
        Sealing().look()
    with pytest.raises(LedgerBehind):
        mandates.redeem(past.world, past.known, "second")


def test_after_the_loss_is_declared_retries_get_the_first_receipt(past: Past) -> None:
    done = accept_loss(reason="the disk burned")

    again = mandates.redeem(past.world, past.known, "first")
    assert (again.attempt.receipt, again.proceed) == (past.first.attempt.receipt, False)
    with pytest.raises(OperationHeld):
        mandates.redeem(past.world, past.known, "second")
    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(past.world, past.unknown, "third")
    assert (done.held, Redemption.objects.count()) == (1, 1)
    assert findings() == []


@pytest.mark.parametrize("kind", [HoldKind.USER, HoldKind.CLIENT, HoldKind.STAFF])
def test_only_who_speaks_for_the_system_lifts_its_hold(past: Past, kind: HoldKind) -> None:
    accept_loss(reason="the disk burned")

    with pytest.raises(HoldNotAllowed):
        resume_operation(operation_id=past.known.row.pk, by=kind)


def test_a_slot_that_is_opened_again_has_the_lost_redemptions_id(past: Past) -> None:
    """So an executor that keeps ids beside their effects does nothing twice."""
    accept_loss(reason="the disk burned")
    resume_operation(operation_id=past.known.row.pk, by=HoldKind.SYSTEM)

    again = mandates.redeem(past.world, past.known, "second")

    assert again.redemption.pk == past.second.redemption.pk
    assert findings() == []
