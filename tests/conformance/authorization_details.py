"""The one authorization_details element: its members, its operation and its constraints."""

from collections.abc import Iterator
from typing import Any

from tests.conformance.minted import doing, having
from tests.conformance.vectors import Vector, vector
from tests.unit.verifier.minting import ISSUER, OPERATION, detail

NOT_VALID = "operation_token_not_valid"


def authorization_details() -> Iterator[Vector]:
    yield from _members()
    yield from _operations()
    yield from _constraints()


def _members() -> Iterator[Vector]:
    uri = f"{ISSUER}/api/v1/redemptions"
    changed: dict[str, dict[str, Any]] = {
        "an unknown member": {"max_daily": "1"},
        "an unknown operation type": {"type": "savings.withdraw"},
        "other actions": {"actions": ["savings.withdraw"]},
        "two actions": {"actions": ["savings.deposit", "savings.withdraw"]},
        "two locations": {"locations": ["https://savings.example/", "https://other.example/"]},
        "no identifier": {"identifier": None},
        "a malformed identifier": {"identifier": "op_../x"},
        "redemption elsewhere": {"redemption": {"mode": "self", "uri": uri}},
        "redemption with another member": {"redemption": {"mode": "issuer", "uri": uri, "a": "b"}},
        "no redemption": {"redemption": None},
        "no operation": {"operation": None},
    }
    for name, changes in changed.items():
        yield vector(f"details: {name}", NOT_VALID, token=having(**changes))


def _operations() -> Iterator[Vector]:
    operations: dict[str, Any] = {
        "with a number": OPERATION | {"count": 1},
        "with a null": OPERATION | {"note": None},
        "with a hidden character": OPERATION | {"note": "a\u202eb"},
        "not in normal form C": OPERATION | {"note": "e\u0301"},
        "six levels deep": OPERATION | {"note": {"a": {"b": {"c": {"d": {"e": "f"}}}}}},
        "larger than 4 KiB": OPERATION | {"note": "a" * 4096},
        "without an action": {n: v for n, v in OPERATION.items() if n != "action"},
        "with a name that is not ASCII": OPERATION | {"n\u00f6te": "x"},
    }
    for name, operation in operations.items():
        yield vector(f"operation: {name}", NOT_VALID, token=doing(operation))


def _constraints() -> Iterator[Vector]:
    limit = detail()["periodic_limits"][0]
    euro = {"amount": "600.00", "currency": "EUR"}
    variable = {name: value for name, value in OPERATION.items() if name != "amount"}
    changed: dict[str, dict[str, Any]] = {
        "no valid_to": {"valid_to": None},
        "valid for more than a year": {"valid_to": "2027-12-02T08:00:01Z"},
        "an instant without a zone": {"valid_from": "2026-12-01T08:00:00"},
        "two currencies": {"max_total": euro},
        "an unknown currency": {"max_total": {"amount": "1.00", "currency": "XXQ"}},
        "a fixed amount above its cap": {
            "max_individual_amount": {"amount": "49.99", "currency": "USD"}
        },
        "a limit with three decimals": {"max_total": {"amount": "600.000", "currency": "USD"}},
        "a limit of nothing": {"max_total": {"amount": "0.00", "currency": "USD"}},
        "a limit as a number": {"max_total": {"amount": 600, "currency": "USD"}},
        "an endless schedule": {"schedule": "FREQ=MONTHLY"},
        "a schedule in seconds": {"schedule": "FREQ=SECONDLY;COUNT=12"},
        "an unknown part of a schedule": {"schedule": "FREQ=MONTHLY;COUNT=12;BYHOUR=3"},
        "a count that is not max_occurrences": {"schedule": "FREQ=MONTHLY;COUNT=11"},
        "a schedule without window": {"due_window": None},
        "an unknown period": {"periodic_limits": [limit | {"period_type": "fortnight"}]},
        "an unknown zone": {"periodic_limits": [limit | {"time_zone": "Mars/Olympus"}]},
        "an unknown member of a limit": {"periodic_limits": [limit | {"max_people": 1}]},
        "a count that is a boolean": {"max_occurrences": True},
        "a count of nothing": {"max_occurrences": 0},
    }
    for name, changes in changed.items():
        yield vector(f"constraint: {name}", NOT_VALID, token=having(**changes))
    text = doing(variable, max_individual_amount=None)
    yield vector("constraint: a variable operation without a cap", NOT_VALID, token=text)
