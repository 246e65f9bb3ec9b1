"""verify_ledger finds every change to a chain, its row or its redemptions, and says where."""

from collections.abc import Callable

import pytest
from django.db.models import F

from batchtokens.models import HoldKind, LedgerEntry, OperationToken, Redemption
from batchtokens.services.hold import hold_operation
from batchtokens.services.settle import Closing, settle_redemption
from batchtokens.services.verify_ledger import Finding, verify_ledger
from tests import mandates

pytestmark = pytest.mark.django_db


@pytest.fixture
def history() -> OperationToken:
    """A chain of four entries: issued, reserved, settled, held."""
    world = mandates.savings()
    issued = mandates.issue(world)
    answer = mandates.redeem(world, issued)
    settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1))
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    return issued.row


def findings() -> list[Finding]:
    return [finding for _, page in verify_ledger() for finding in page]


def test_a_clean_ledger_gives_no_alarm(history: OperationToken) -> None:
    assert findings() == []
    assert [count for count, _ in verify_ledger()] == [1]


def edit_text() -> None:
    entry = LedgerEntry.objects.get(seq=2)
    entry.entry = entry.entry.replace('"50.00"', '"5.00"')
    entry.save()


def delete_one() -> None:
    LedgerEntry.objects.get(seq=2).delete()


def truncate() -> None:
    LedgerEntry.objects.get(seq=4).delete()


def backdate() -> None:
    LedgerEntry.objects.filter(seq=3).update(kind="released")


def raise_the_sum() -> None:
    OperationToken.objects.update(taken_minor=F("taken_minor") - 1)


def lift_the_hold() -> None:
    OperationToken.objects.update(holds=[])


def edit_a_redemption() -> None:
    Redemption.objects.update(amount_minor=1)


def forge_an_entry() -> None:
    last = LedgerEntry.objects.get(seq=4)
    last.pk, last.seq = None, 5
    last.save(force_insert=True)


@pytest.mark.parametrize(
    ("tamper", "seq"),
    [
        (edit_text, 2),
        (delete_one, 2),
        (truncate, 0),
        (backdate, 3),
        (raise_the_sum, 0),
        (lift_the_hold, 0),
        (edit_a_redemption, 0),
        (forge_an_entry, 5),
    ],
)
def test_names_the_first_bad_entry(
    history: OperationToken, tamper: Callable[[], None], seq: int
) -> None:
    tamper()

    (found,) = findings()
    assert (found.operation_id, found.seq) == (history.public_id, seq)
