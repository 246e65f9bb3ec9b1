"""/api/v1/operations/{id}/limits: a person lowers what binds; a raise takes a new consent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchtokens.models import LedgerEntry, OperationToken
from batchtokens.models.locking import lock_operation_token
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import LimitExceeded
from tests import factories, mandates
from tests.rest import OPERATIONS, Caller, code_of, person, pointers_of

pytestmark = pytest.mark.django_db

LIMITS: dict[str, Any] = {
    "max_individual_amount": {"amount": "60.00", "currency": "USD"},
    "max_total": {"amount": "500.00", "currency": "USD"},
    "max_occurrences": 5,
    "periodic_limits": None,
}


def usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


@pytest.fixture
def issued(world: mandates.Savings) -> Any:
    return mandates.issue(world, **LIMITS)


@pytest.fixture
def path(issued: Any) -> str:
    return f"{OPERATIONS}/{issued.row.public_id}/limits"


def redeem(world: mandates.Savings, issued: Any, key: str = "run-1") -> Any:
    return mandates.redeem(world, issued, key)


def lowered() -> Any:
    return OperationToken.objects.get().lowered


@pytest.mark.parametrize(
    "limits",
    [
        {"max_individual_amount": usd("59.99")},
        {"max_total": usd("0.01")},
        {"max_occurrences": 1},
        {"max_total": usd("1.00"), "max_occurrences": 4},
    ],
    ids=str,
)
def test_lowers_what_is_named(alice: Caller, path: str, limits: dict[str, Any]) -> None:
    answer = alice.post(path, limits | {"reason": "less is enough"})

    assert (answer.status_code, answer.json()["lowered"]) == (200, limits)
    assert lowered() == limits
    entry = LedgerEntry.objects.get(kind="lowered")
    told = json.loads(entry.entry)
    assert (told["state"]["lowered"], told["data"]["by"]) == (limits, "user")
    assert entry.note == "less is enough"


def test_the_ledger_still_adds_up(alice: Caller, path: str, issued: Any) -> None:
    alice.post(path, {"max_total": usd("100.00")})
    alice.post(path, {"max_total": usd("50.00"), "max_occurrences": 2})

    assert lowered() == {"max_total": usd("50.00"), "max_occurrences": 2}
    assert lock_operation_token(pk=issued.row.pk) is not None


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        ({"max_individual_amount": usd("60.01")}, "/max_individual_amount"),
        ({"max_total": usd("500.01")}, "/max_total"),
        ({"max_occurrences": 6}, "/max_occurrences"),
        ({"max_total": usd("1.00"), "max_occurrences": 6}, "/max_occurrences"),
    ],
    ids=str,
)
def test_raises_nothing(alice: Caller, path: str, limits: dict[str, Any], pointer: str) -> None:
    answer = alice.post(path, limits)

    assert code_of(answer) == (403, "limit_not_lower")
    assert pointers_of(answer) == [pointer]
    assert lowered() == {}


@pytest.mark.parametrize("back", ["200.00", "500.00"])
def test_a_lowered_limit_stays_low(alice: Caller, path: str, back: str) -> None:
    alice.post(path, {"max_total": usd("100.00")})

    assert code_of(alice.post(path, {"max_total": usd(back)})) == (403, "limit_not_lower")
    assert lowered() == {"max_total": usd("100.00")}


def test_the_same_again_changes_nothing(alice: Caller, path: str) -> None:
    answers = [alice.post(path, {"max_total": usd("100.00")}).status_code for _ in range(2)]
    answers.append(alice.post(path, {"max_occurrences": 5}).status_code)

    assert answers == [200, 200, 200]
    assert LedgerEntry.objects.filter(kind="lowered").count() == 1


def test_a_limit_may_come_where_there_was_none(alice: Caller, world: mandates.Savings) -> None:
    row = mandates.issue(world).row

    answer = alice.post(f"{OPERATIONS}/{row.public_id}/limits", {"max_total": usd("1000000.00")})

    assert answer.json()["lowered"] == {"max_total": usd("1000000.00")}


@pytest.mark.parametrize(
    "limits",
    [
        {"max_individual_amount": usd("49.99")},
        {"max_total": usd("49.99")},
    ],
    ids=str,
)
def test_what_is_lowered_binds_redemptions(
    alice: Caller, world: mandates.Savings, issued: Any, path: str, limits: dict[str, Any]
) -> None:
    alice.post(path, limits)

    with pytest.raises(LimitExceeded):
        redeem(world, issued)
    assert OperationToken.objects.get().taken_count == 0


def test_what_is_exactly_enough_runs(
    alice: Caller, world: mandates.Savings, issued: Any, path: str
) -> None:
    alice.post(path, {"max_total": usd("100.00"), "max_individual_amount": usd("50.00")})

    first, second = (redeem(world, issued, key) for key in ("a", "b"))

    assert first.attempt.remaining["total"] == usd("50.00")
    assert second.proceed
    with pytest.raises(LimitExceeded):
        redeem(world, issued, "c")


def test_below_what_is_taken_nothing_more_runs(
    alice: Caller, world: mandates.Savings, issued: Any, path: str
) -> None:
    redeem(world, issued, "a")
    redeem(world, issued, "b")

    assert alice.post(path, {"max_occurrences": 1}).status_code == 200
    with pytest.raises(LimitExceeded):
        redeem(world, issued, "c")
    assert redeem(world, issued, "b").proceed  # what was granted stays granted


def test_a_variable_amount_is_bound(world: mandates.Savings, alice: Caller) -> None:
    operation = {n: v for n, v in mandates.OPERATION.items() if n != "amount"}
    issued = mandates.issue(world, operation=operation, **LIMITS)
    alice.post(
        f"{OPERATIONS}/{issued.row.public_id}/limits", {"max_individual_amount": usd("10.00")}
    )

    with pytest.raises(LimitExceeded):
        mandates.redeem(world, issued, "a", operation=operation, amount=Amount(1001, "USD"))
    answer = mandates.redeem(world, issued, "b", operation=operation, amount=Amount(1000, "USD"))
    assert answer.proceed


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "invalid", ""),
        ({"reason": "x"}, "invalid", ""),
        ({"max_total": usd("0.00")}, "invalid", "/max_total"),
        ({"max_total": 5.0}, "invalid", "/max_total"),
        ({"max_total": None}, "invalid", "/max_total"),
        ({"max_occurrences": 0}, "invalid", "/max_occurrences"),
        ({"max_occurrences": "1"}, "invalid", "/max_occurrences"),
        ({"max_occurrences": True}, "invalid", "/max_occurrences"),
        ({"valid_to": mandates.in_days(1)}, "invalid", ""),
        (
            {"max_total": {"amount": "1.00", "currency": "EUR"}},
            "invalid_constraints",
            "/max_total/currency",
        ),
    ],
    ids=range(10),
)
def test_is_told_what_is_wrong(
    alice: Caller, path: str, body: dict[str, Any], code: str, pointer: str
) -> None:
    answer = alice.post(path, body)

    assert code_of(answer) == (400, code)
    assert pointers_of(answer)[0].startswith(pointer)
    assert lowered() == {}


class TestWho:
    BODY = {"max_occurrences": 1}

    def test_nobody_else(self, path: str) -> None:
        assert code_of(person(factories.bob()).post(path, self.BODY)) == (404, "not_found")

    def test_no_trigger(self, trigger: Caller, path: str) -> None:
        assert code_of(trigger.post(path, self.BODY)) == (403, "permission_denied")

    def test_not_with_the_profile_alone(self, world: mandates.Savings, path: str) -> None:
        caller = person(world.alice, scope="profile")

        assert code_of(caller.post(path, self.BODY)) == (403, "insufficient_scope")

    def test_not_what_has_ended(self, alice: Caller, path: str) -> None:
        alice.post(path.replace("limits", "cancel"))

        assert code_of(alice.post(path, self.BODY)) == (409, "operation_final")
