"""`operations hold|resume|cancel --user|--client|--executor|--type|--kid`: many at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.management.base import Exit
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, salted_digest
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.hold import hold_operation
from tests import factories, mandates
from tests.commands import operations
from tests.crowds import multiply_mandate
from tests.interruptions import interrupted_in_the_third_batch

pytestmark = pytest.mark.django_db

WHY = ("--reason", "the bank asked", "--yes")
ALL = ("--type", "savings.deposit")


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=100_000)


def holds() -> list[list[str]]:
    return list(OperationToken.objects.order_by("issued_at").values_list("holds", flat=True))


def problems() -> list[Any]:
    return [findings for _, findings in verify_ledger() if findings]


@pytest.mark.parametrize(
    "words",
    [
        "--user=alice",
        "--client=trigger",
        "--executor=savings",
        "--type=savings.deposit",
        "--kid={kid}",
    ],
)
def test_selects_by_whom_and_what_it_concerns(world: mandates.Savings, words: str) -> None:
    mine, other = mandates.issue(world), mandates.issue(world)
    stranger = factories.service_client("stranger").client
    OperationToken.objects.filter(pk=other.row.pk).update(
        user=factories.bob(), client=stranger, executor=stranger, type_name="other", kid="another"
    )

    told = operations("hold", words.format(kid=mine.row.kid), *WHY)

    assert told.rows == {"id": "hold", "found": 1, "changed": 1}
    assert holds() == [["staff"], []]


def test_options_narrow(world: mandates.Savings) -> None:
    mandates.issue(world)
    factories.bob()

    assert operations("hold", *ALL, "--user=bob", *WHY).code == Exit.NOTHING_MATCHED
    assert holds() == [[]]


def test_holds_and_resumes_with_a_ledger_entry_each(world: mandates.Savings) -> None:
    first, second = mandates.issue(world), mandates.issue(world)
    hold_operation(operation_id=first.row.pk, by=HoldKind.CLIENT)
    hold_operation(operation_id=second.row.pk, by=HoldKind.USER)

    assert operations("hold", *ALL, *WHY, "--operator", "olga").rows["changed"] == 2
    assert holds() == [["client", "staff"], ["staff", "user"]]
    assert operations("resume", *ALL, *WHY, "--operator", "olga").rows["changed"] == 2

    assert holds() == [[], ["user"]]
    entry = LedgerEntry.objects.filter(operation_token=first.row).latest("seq")
    data = json.loads(entry.entry)["data"]
    assert (data["by"], data["lifted"]) == ("staff", ["client", "staff"])
    assert data["actor"] == salted_digest(bytes(first.row.salt), "operator:olga")
    assert entry.note == "the bank asked"
    assert problems() == []


def test_lifts_what_was_held_after_a_loss(world: mandates.Savings) -> None:
    hold_operation(operation_id=mandates.issue(world).row.pk, by=HoldKind.SYSTEM)

    assert operations("resume", *ALL, *WHY).code == Exit.NOTHING_MATCHED
    assert operations("resume", *ALL, *WHY, "--after-loss").rows["changed"] == 1

    assert holds() == [[]]
    assert problems() == []


def test_cancels_for_ever(world: mandates.Savings) -> None:
    mandates.issue(world)

    assert operations("cancel", *ALL, *WHY).rows["changed"] == 1

    row = OperationToken.objects.get()
    assert row.cancelled_at is not None
    assert row.cancellation
    assert problems() == []


@pytest.mark.parametrize("verb", ["hold", "resume", "cancel"])
def test_a_second_call_finds_nothing(world: mandates.Savings, verb: str) -> None:
    issued = mandates.issue(world)
    if verb == "resume":
        hold_operation(operation_id=issued.row.pk, by=HoldKind.STAFF)
    operations(verb, *ALL, *WHY)
    before = LedgerEntry.objects.count()

    assert operations(verb, *ALL, *WHY).code == Exit.NOTHING_MATCHED
    assert LedgerEntry.objects.count() == before


@pytest.mark.parametrize(("verb", "found"), [("hold", 2), ("resume", 1), ("cancel", 3)])
def test_a_dry_run_counts_what_would_change(world: mandates.Savings, verb: str, found: int) -> None:
    mandates.issue(world)
    for kind in (HoldKind.STAFF, HoldKind.USER):
        hold_operation(operation_id=mandates.issue(world).row.pk, by=kind)
    before = (holds(), LedgerEntry.objects.count())

    told = operations(verb, *ALL, "--reason=x", "--dry-run").rows

    assert told == {"id": verb, "found": found, "changed": 0}
    assert (holds(), LedgerEntry.objects.count()) == before


@pytest.mark.parametrize("verb", ["hold", "resume", "cancel"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (WHY, Exit.USAGE),
        ((f"op_{'0' * 32}", *ALL, *WHY), Exit.USAGE),
        ((*ALL, "--yes"), Exit.USAGE),
        ((*ALL, "--reason", "x"), Exit.USAGE),
        ((*ALL, "--reason", "x" * 501, "--yes"), Exit.USAGE),
        (("--user", "", *WHY), Exit.USAGE),
        (("--user", "usr_x", *WHY), Exit.USAGE),
        (("--user", "nobody", *WHY), Exit.NOTHING_MATCHED),
        (("--client", "nobody", *WHY), Exit.NOTHING_MATCHED),
        (("--executor", "nobody", *WHY), Exit.NOTHING_MATCHED),
        (("--type", "nothing", *WHY), Exit.NOTHING_MATCHED),
        (("--kid", "nothing", *WHY), Exit.NOTHING_MATCHED),
        (("--client", "first-party", *WHY), Exit.NOTHING_MATCHED),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else None,
)
def test_refuses_what_it_cannot_do(
    world: mandates.Savings, verb: str, words: tuple[str, ...], code: Exit
) -> None:
    hold_operation(operation_id=mandates.issue(world).row.pk, by=HoldKind.CLIENT)

    assert operations(verb, *words).code == code
    assert LedgerEntry.objects.of_operations().count() == 2


@pytest.mark.parametrize("verb", ["hold", "resume", "cancel"])
def test_damaged_ones_are_left_and_told(world: mandates.Savings, verb: str) -> None:
    damaged, sound = mandates.issue(world), mandates.issue(world)
    if verb == "resume":
        for issued in (damaged, sound):
            hold_operation(operation_id=issued.row.pk, by=HoldKind.STAFF)
    OperationToken.objects.filter(pk=damaged.row.pk).update(taken_count=1)

    told = operations(verb, *ALL, *WHY)

    assert (told.code, told.rows["changed"]) == (Exit.PARTIAL, 1)


def test_goes_on_where_it_was_interrupted(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiply_mandate(mandates.issue(world).row, 9)
    with interrupted_in_the_third_batch(monkeypatch, size=4):
        operations("hold", *ALL, *WHY)
    assert holds().count(["staff"]) == 8

    assert operations("hold", *ALL, *WHY).rows == {"id": "hold", "found": 2, "changed": 2}
    assert problems() == []


@pytest.mark.postgresql  # on SQLite each row is an UPDATE of its own
def test_needs_no_more_statements_for_forty(
    world: mandates.Savings, django_assert_max_num_queries: Any
) -> None:
    multiply_mandate(mandates.issue(world).row, 39)

    with django_assert_max_num_queries(16):
        assert operations("hold", *ALL, *WHY).rows["changed"] == 40
    with django_assert_max_num_queries(16):
        assert operations("resume", *ALL, *WHY).rows["changed"] == 40
