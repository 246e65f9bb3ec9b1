"""Lowered limits bind every way to a run, singly, in batches and at once, and never rise."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import LimitNotLower
from batchtokens.models import LedgerEntry, OperationToken, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.redemption.check_redemption import check_redemption
from batchtokens.services.redemption.redeem import RedemptionRequest
from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import LimitExceeded, ProblemError
from tests import mandates
from tests.races import at_once

FREE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}
FIVE: dict[str, Any] = {
    "periodic_limits": None,
    "max_occurrences": 5,
    "max_individual_amount": {"amount": "60.00", "currency": "USD"},
}
KINDS = pytest.mark.parametrize("operation", [mandates.OPERATION, FREE], ids=["fixed", "variable"])
FIFTY = Amount(5000, "USD")


@pytest.fixture
def world(db: None) -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


def lower(issued: Issued, **limits: Any) -> OperationToken:
    return lower_limits(operation_id=issued.row.pk, limits=Limits(**limits))


def outcomes_of_batch(world: mandates.Savings, issued: Issued, operation: Any) -> list[str]:
    asked = RedemptionRequest(issued.token, operation, FIFTY)
    lines = [Line(f"line-{number}", asked) for number in range(5)]
    answers = redeem_batch(by=world.redeemer, lines=lines)
    return [getattr(answer, "code", "done") for answer in answers]


def check_ledger() -> None:
    assert [finding for _, findings in verify_ledger() for finding in findings] == []


@KINDS
@pytest.mark.parametrize(
    ("limits", "runs"),
    [
        ({"max_total": Amount(10000, "USD")}, 2),
        ({"max_total": Amount(9999, "USD")}, 1),
        ({"max_occurrences": 3}, 3),
        ({"max_individual_amount": FIFTY}, 5),
        ({"max_individual_amount": Amount(4999, "USD")}, 0),
    ],
    ids=str,
)
def test_binds_each_line_of_a_batch(
    world: mandates.Savings, operation: Any, limits: dict[str, Any], runs: int
) -> None:
    issued = mandates.issue(world, operation=operation, **FIVE)
    lower(issued, **limits)

    outcomes = outcomes_of_batch(world, issued, operation)

    assert outcomes == ["done"] * runs + ["limit_exceeded"] * (5 - runs)
    assert Redemption.objects.count() == OperationToken.objects.get().taken_count == runs
    check_ledger()


@KINDS
def test_binds_what_check_says(world: mandates.Savings, operation: Any) -> None:
    issued = mandates.issue(world, operation=operation, **FIVE)
    ask = partial(check_redemption, by=world.alice, public_id=issued.row.public_id, amount=FIFTY)
    assert ask().refusal is None

    lower(issued, max_total=Amount(7000, "USD"))
    mandates.redeem(world, issued, operation=operation, amount=FIFTY)

    told = ask()
    assert isinstance(told.refusal, LimitExceeded)
    assert (told.remaining.total, told.remaining.occurrences) == (Amount(2000, "USD"), 4)


def test_what_is_left_is_never_less_than_nothing(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **FIVE)
    for number in range(2):
        mandates.redeem(world, issued, f"run-{number}")
    lower(issued, max_total=FIFTY, max_occurrences=1)

    left = check_redemption(by=world.alice, public_id=issued.row.public_id).remaining

    assert (left.total, left.occurrences) == (Amount(0, "USD"), 0)


def test_what_was_lowered_before_stays(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **FIVE)
    lower(issued, max_total=FIFTY)
    lower(issued, max_occurrences=2)

    assert OperationToken.objects.get().lowered == {
        "max_total": FIFTY.as_json(),
        "max_occurrences": 2,
    }


def test_a_fixed_amount_is_what_a_run_moves_at_most(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **FIVE | {"max_individual_amount": None})

    with pytest.raises(LimitNotLower):
        lower(issued, max_individual_amount=Amount(5001, "USD"))
    assert lower(issued, max_individual_amount=FIFTY).lowered == {}


def test_an_earlier_answer_stays_and_a_new_attempt_is_bound(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **FIVE)
    first = mandates.redeem(world, issued, "run-1")
    lower(issued, max_individual_amount=Amount(4999, "USD"))

    assert mandates.redeem(world, issued, "run-1").attempt.receipt == first.attempt.receipt
    with pytest.raises(LimitExceeded):
        mandates.redeem(world, issued, "run-2")
    check_ledger()


def test_what_was_confirmed_stays_as_it_was(world: mandates.Savings) -> None:
    world.kind.consent = "exact"
    world.kind.save()
    issued = mandates.issue(world, **FIVE)
    before = OperationToken.objects.values("details", "summary", "jws_digest").get()

    lower(issued, max_occurrences=1)

    assert OperationToken.objects.values("details", "summary", "jws_digest").get() == before
    check_ledger()


def outcome(call: Any) -> str:
    try:
        call()
    except ProblemError as refusal:
        return refusal.code
    return "done"


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.race
class TestAtOnce:
    @pytest.mark.parametrize("_", range(3))
    def test_the_lowest_wins(self, world: mandates.Savings, _: int) -> None:
        issued = mandates.issue(world, **FIVE)
        amounts = [Amount(minor, "USD") for minor in (20000, 10000, 15000, 5000) * 2]

        found = Counter(
            at_once(*(partial(outcome, partial(lower, issued, max_total=a)) for a in amounts))
        )

        assert OperationToken.objects.get().lowered == {"max_total": FIFTY.as_json()}
        assert set(found) <= {"done", LimitNotLower.code}
        check_ledger()

    def test_nothing_runs_beyond_what_a_lowering_says(self, world: mandates.Savings) -> None:
        issued = mandates.issue(world, **FIVE)
        redeem = [partial(mandates.redeem, world, issued, f"run-{n}") for n in range(6)]

        at_once(
            partial(outcome, partial(lower, issued, max_occurrences=2)),
            *(partial(outcome, each) for each in redeem),
        )

        entries = LedgerEntry.objects.filter(operation_token=issued.row).order_by("seq")
        kinds = list(entries.values_list("kind", flat=True))
        before = kinds[: kinds.index("lowered")].count("reserved")
        assert kinds.count("reserved") == max(before, 2)
        check_ledger()
