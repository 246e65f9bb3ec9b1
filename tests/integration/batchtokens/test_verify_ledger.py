"""verify_ledger finds every change to a chain, its row or its redemptions, and says where."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from batchtokens.models import (
    HoldKind,
    LedgerEntry,
    OperationToken,
    Redemption,
    RedemptionAttempt,
    entry_hash,
)
from batchtokens.services.ledger.verify_ledger import Finding, verify_ledger
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.redemption.settle import Closing, settle_redemption
from tests import mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db


@pytest.fixture
def history() -> OperationToken:
    """A chain of four entries: issued, reserved, settled, held."""
    world = mandates.savings()
    issued = mandates.issue(world)
    answer = mandates.redeem(world, issued)
    settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1))
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=Words(reason="away"))
    return issued.row


def findings() -> list[Finding]:
    return [finding for _, page in verify_ledger() for finding in page]


def test_a_clean_ledger_gives_no_alarm(history: OperationToken) -> None:
    assert findings() == []
    assert [count for count, _ in verify_ledger()] == [1]


def edit_text() -> None:
    entry = LedgerEntry.objects.of_operations().get(seq=2)
    entry.entry = entry.entry.replace('"50.00"', '"5.00"')
    entry.save()


def delete_one() -> None:
    LedgerEntry.objects.of_operations().get(seq=2).delete()


def truncate() -> None:
    LedgerEntry.objects.of_operations().get(seq=4).delete()


def backdate() -> None:
    LedgerEntry.objects.of_operations().filter(seq=3).update(kind="released")


def raise_the_sum() -> None:
    OperationToken.objects.update(taken_minor=F("taken_minor") - 1)


def lift_the_hold() -> None:
    OperationToken.objects.update(holds=[])


def edit_a_redemption() -> None:
    Redemption.objects.update(amount_minor=1)


def forge_an_entry() -> None:
    last = LedgerEntry.objects.of_operations().get(seq=4)
    last.pk, last.seq = None, 5
    last.save(force_insert=True)


def free_the_slot() -> None:
    Redemption.objects.update(status="released", settled_at=None)


def move_to_another_period() -> None:
    Redemption.objects.update(counts_at=F("counts_at") - timedelta(days=9))


def swap_the_issued_bytes() -> None:
    OperationToken.objects.update(jws_digest="x" * 43)


def prolong() -> None:
    OperationToken.objects.update(valid_to=F("valid_to") + timedelta(days=300))


def reword() -> None:
    LedgerEntry.objects.of_operations().filter(seq=4).update(note="something else")


def put_in_a_float() -> None:
    entry = LedgerEntry.objects.of_operations().get(seq=3)
    entry.entry = entry.entry.replace('"seq":3', '"seq":3.5')
    entry.hash = entry_hash(entry.entry)
    entry.save()


def forge_the_link() -> None:
    """Rewrite one entry so that its own hash is right, but not what comes before it."""
    entry = LedgerEntry.objects.of_operations().get(seq=2)
    entry.entry = entry.entry.replace('"prev":"', '"prev":"x')
    entry.hash = entry_hash(entry.entry)
    entry.save()


def take_the_answer_away() -> None:
    """Only what an export has brought back has none."""
    RedemptionAttempt.objects.all().delete()


def take_the_closing_receipt_away() -> None:
    Redemption.objects.update(closing_receipt="")


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
        (free_the_slot, 0),
        (move_to_another_period, 0),
        (swap_the_issued_bytes, 0),
        (prolong, 0),
        (reword, 4),
        (put_in_a_float, 3),
        (forge_the_link, 2),
        (take_the_answer_away, 0),
        (take_the_closing_receipt_away, 0),
    ],
)
def test_names_the_first_bad_entry(
    history: OperationToken, tamper: Callable[[], None], seq: int
) -> None:
    with as_insider():
        tamper()

    (found,) = findings()
    assert (found.operation_id, found.seq) == (history.public_id, seq)
