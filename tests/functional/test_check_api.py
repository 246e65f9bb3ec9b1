"""`GET /api/v1/operations/{id}/check`: what a redemption would be answered, without making it."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import SecurityEvent
from batchtokens.models import HoldKind, LedgerEntry, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.stop_executor import stop_executor
from tests import factories, mandates
from tests.rest import OPERATIONS, Caller, code_of, machine, person, pointers_of, redeem

pytestmark = pytest.mark.django_db

USD = {"currency": "USD"}
VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}


def check(caller: Caller, issued: Issued, **query: str) -> Any:
    return caller.get(f"{OPERATIONS}/{issued.row.public_id}/check", **query)


def variable(world: mandates.Savings, **more: Any) -> Issued:
    cap = {"amount": "60.00", **USD}
    return mandates.issue(world, operation=VARIABLE, max_individual_amount=cap, **more)


def test_says_yes_and_changes_nothing(
    world: mandates.Savings, alice: Caller, trigger: Caller
) -> None:
    issued = mandates.issue(world, max_total={"amount": "600.00", **USD})
    before = (LedgerEntry.objects.count(), SecurityEvent.objects.count())

    answer = check(trigger, issued)

    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["code"], told["slot"]["name"]) == (True, "", "p0")
    assert told["amount"] == {"amount": "50.00", **USD}
    assert told["remaining"]["period"] == {"amount": "50.00", **USD}
    assert told["remaining"]["total"] == {"amount": "600.00", **USD}
    assert told["limits"]["max_total"] == {"amount": "600.00", **USD}
    assert check(alice, issued).json()["accepted"]
    assert not Redemption.objects.exists()
    assert (LedgerEntry.objects.count(), SecurityEvent.objects.count()) == before


def test_agrees_with_the_redemption_that_follows(
    world: mandates.Savings, executor: Caller, alice: Caller
) -> None:
    issued = mandates.issue(world)
    told = check(alice, issued).json()
    taken = redeem(executor, issued).json()
    after = check(alice, issued).json()

    assert told["slot"]["name"] == taken["slot"]
    assert (after["accepted"], after["code"]) == (False, "slot_already_redeemed")
    assert after["slot"]["name"] == "p1"
    assert after["remaining"]["period"] == taken["remaining"]["period"]
    assert after["remaining"]["occurrences"] == told["remaining"]["occurrences"] - 1


def test_tries_an_amount(world: mandates.Savings, alice: Caller) -> None:
    issued = variable(world)

    assert check(alice, issued).json()["accepted"]
    assert check(alice, issued, amount="50.00", **USD).json()["accepted"]
    assert check(alice, issued, amount="50.01", **USD).json()["code"] == "limit_exceeded"
    assert check(alice, issued, amount="1.00", currency="EUR").json()["code"] == (
        "operation_mismatch"
    )


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"amount": "1.00"}, "/amount"),
        ({"amount": "1", **USD}, "/amount"),
        ({"amount": "x", **USD}, "/amount"),
        ({"amount": "1.00", "currency": "XXQ"}, "/currency"),
    ],
    ids=str,
)
def test_refuses_what_is_no_amount(
    world: mandates.Savings, alice: Caller, query: dict[str, str], pointer: str
) -> None:
    answer = check(alice, variable(world), **query)

    assert code_of(answer) == (400, "invalid")
    assert pointers_of(answer) == [pointer]


def test_tells_why_not(world: mandates.Savings, alice: Caller) -> None:
    issued = mandates.issue(world)
    set_caps(executor=world.redeemer, caps=Caps(max_minor_day=1, currency="EUR"), reason="test")
    assert check(alice, issued).json()["code"] == "limit_exceeded"
    stop_executor(executor=world.redeemer, reason="test")
    assert check(alice, issued).json()["code"] == "executor_stopped"
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    assert check(alice, issued).json()["code"] == "operation_held"


def test_is_for_its_owner_and_trigger(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(world)
    bob = person(factories.user("bob"))

    assert code_of(check(bob, issued)) == (404, "not_found")
    assert code_of(check(executor, issued)) == (403, "insufficient_scope")
    assert code_of(check(Caller({}), issued))[0] == 401
    other = factories.service_client("other", scopes=["token_exchange"])
    assert code_of(check(machine(other), issued)) == (404, "not_found")
