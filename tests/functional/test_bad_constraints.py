"""Constraints that nobody could keep: refused with a code and a pointer, fast, and nothing stored.

Through the token exchange, a first-party app's request, and its preview.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from batchtokens.models import Consent, LedgerEntry, OperationToken, QueuedRun
from batchtokens_verifier.constraints import Amount, Constraints
from batchtokens_verifier.errors import InvalidConstraints
from tests import mandates, oauth, rest
from tests.rest import Caller

pytestmark = pytest.mark.django_db


def limit(**changes: Any) -> dict[str, Any]:
    (good,) = mandates.constraints()["periodic_limits"]
    return {"periodic_limits": [good | changes]}


def scheduled(rule: str) -> dict[str, Any]:
    return {"schedule": rule, "due_window": "PT1H"}


USD, EUR = {"amount": "50.00", "currency": "USD"}, {"amount": "50.00", "currency": "EUR"}
BAD: dict[str, dict[str, Any]] = {
    "an unknown constraint": {"max_speed": "1"},
    "an unknown constraint of a limit": limit(max_speed="1"),
    "float money": {"max_total": {"amount": 600.0, "currency": "USD"}},
    "float money in a limit": limit(amount=50.0),
    "integer money": {"max_total": {"amount": 600, "currency": "USD"}},
    "too few decimals": {"max_total": {"amount": "600", "currency": "USD"}},
    "too many decimals": limit(amount="50.000"),
    "decimals of a currency without": {"max_total": {"amount": "600.00", "currency": "JPY"}},
    "two decimals of three": {"max_total": {"amount": "600.00", "currency": "KWD"}},
    "mixed currencies": {"max_total": EUR},
    "mixed currencies in a limit": limit(currency="EUR"),
    "mixed currencies in two limits": {
        "periodic_limits": [
            {"period_type": kind, "period_alignment": "calendar", **money}
            for kind, money in (("day", USD), ("month", EUR))
        ]
    },
    "a rule that never ends": scheduled("FREQ=DAILY"),
    "a rule that ends after the mandate": scheduled("FREQ=DAILY;UNTIL=29991231T000000Z"),
    "a million occurrences": scheduled("FREQ=DAILY;COUNT=1000000"),
    "a million occurrences by the second": scheduled("FREQ=SECONDLY;COUNT=1000000"),
    "a million steps between": scheduled("FREQ=DAILY;INTERVAL=100000000;COUNT=2"),
    "a month of seconds": scheduled("FREQ=SECONDLY;UNTIL=29991231T000000Z"),
    "a million places a day": limit(max_count=1_000_000),
    "a million and one": limit(max_count=1_000_001),
    "a day that never comes": scheduled("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;BYDAY=5MO;COUNT=1"),
    "a zone that does not exist": limit(time_zone="Europe/Atlantis"),
    "a zone in other letters": limit(time_zone="europe/berlin"),
    "a zone that is a file": limit(time_zone="../../../etc/passwd"),
    "huge depth": {"max_total": json.loads('{"a":' * 25 + '"1"' + "}" * 25)},
}


def stored() -> list[int]:
    entries = LedgerEntry.objects.exclude(operation_token=None)  # of keys there may be new ones
    rows = [each.objects.count() for each in (OperationToken, Consent, QueuedRun)]
    return [*rows, entries.count()]


def asked(**changes: Any) -> dict[str, Any]:
    return rest.operation_body(constraints=mandates.constraints(**changes))


@pytest.mark.parametrize("path", [rest.OPERATIONS, f"{rest.OPERATIONS}/preview"])
@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_rest_refuses_and_stores_nothing(alice: Caller, change: dict[str, Any], path: str) -> None:
    before = stored()

    answer = alice.post(path, asked(**change))

    assert rest.code_of(answer) == (400, "invalid_constraints")
    assert all(each.startswith("/constraints") for each in rest.pointers_of(answer))
    assert stored() == before


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_the_exchange_refuses_and_stores_nothing(
    world: mandates.Savings, change: dict[str, Any]
) -> None:
    before = stored()

    answer = exchange(world, json.dumps([details(**change)]))

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_authorization_details"
    assert stored() == before


TEXTS = {
    "a member twice": ('"valid_to":', '"valid_to":"2027-01-01T00:00:00Z","valid_to":'),
    "a limit's member twice": ('"max_count":', '"max_count":9,"max_count":'),
    "a member twice, escaped": (
        '"valid_to":',
        '"valid\\u005fto":"2027-01-01T00:00:00Z","valid_to":',
    ),
    "huge depth": ('"max_count": 1', '"max_count": ' + "[" * 5000 + "1" + "]" * 5000),
    "not a number": ('"max_count": 1', '"max_count": NaN'),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_other_spellings_are_refused(
    world: mandates.Savings, alice: Caller, text: tuple[str, str]
) -> None:
    before = stored()
    body, sent = json.dumps(asked()), json.dumps([details()])
    assert text[0] in body
    assert text[0] in sent

    for path in (rest.OPERATIONS, f"{rest.OPERATIONS}/preview"):
        assert rest.code_of(alice.post(path, body.replace(*text))) == (400, "invalid")
    answer = exchange(world, sent.replace(*text))

    assert answer.json()["error"] == "invalid_authorization_details"
    assert stored() == before


def details(**change: Any) -> dict[str, Any]:
    limits = mandates.constraints(**change)
    return {"type": "savings.deposit", "operation": mandates.OPERATION, **limits}


def exchange(world: mandates.Savings, sent: str) -> Any:
    form = oauth.exchange_form(mandates.exchange_request(world), authorization_details=sent)
    return oauth.send(form, by=world.trigger)


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_refusal_takes_no_time(change: dict[str, Any]) -> None:
    limits = {"valid_from": mandates.in_days(0), **mandates.constraints(**change)}
    costs = []

    for _ in range(3):  # the least counts: Python may tidy its own memory up meanwhile
        begun = time.process_time()
        with pytest.raises(InvalidConstraints):
            Constraints.parse(limits, operation_amount=Amount(5000, "USD"), allow_secondly=True)
        costs.append(time.process_time() - begun)

    assert min(costs) < 0.2
