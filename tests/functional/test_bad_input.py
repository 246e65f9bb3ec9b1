"""Bad input to every REST address: a 4xx problem with its code and a pointer, never a 500.

What is sent to the OAuth addresses is in test_oauth_garbage.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from batchtokens.services.issuing.issue import Issued
from tests import mandates
from tests.rest import OPERATIONS, QUEUE, REDEMPTIONS, Caller, job, operation_body, redeem

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"
SECRET = "s3cr3t-marker"  # stands in junk; no answer may repeat it

DEEP = b'{"a":' * 100 + b"1" + b"}" * 100
BODIES = {
    "empty": b"",
    "no JSON": b"{" + SECRET.encode(),
    "array": b"[1, 2]",
    "string": json.dumps(SECRET).encode(),
    "number": b"5",
    "null": b"null",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "duplicate member": b'{"a": "1", "a": "2"}',
    "100 deep": DEEP,
    "100 arrays deep": b"[" * 100 + b"]" * 100,
    "endless depth": b"[" * 60_000,
    "invalid UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": "b"}'.encode("utf-16"),
    "lone surrogate": b'{"a": "\\ud800"}',
    "escaped NUL": b'{"a": "x\\u0000y"}',
    "raw NUL": b'{"a": "x\x00y"}',
    "1 MiB": b'{"a": "' + b"x" * 2**20 + b'"}',
    "huge number": b'{"a": ' + b"9" * 50_000 + b"}",
    "trailing text": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
}
CONTENT_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=utf-7",
    "nonsense",
]
NO_TEXT: list[Any] = [7, 1.5, True, None, [], {}, [SECRET], "x\0y", "\ud800", "x" * 20_000]
NO_OBJECT: list[Any] = [7, 1.5, True, None, [], SECRET, [{}]]
NO_COUNT: list[Any] = ["1", 1.5, 1.0, True, None, [], {}, 0, -1]


@dataclass(frozen=True)
class Endpoint:
    """An address that takes a body: who may call it, and a body that it would accept."""

    path: str
    caller: Caller
    body: Mapping[str, Any]
    required: tuple[str, ...] = ()


def consent_endpoints(alice: Caller, asked: tuple[str, ...]) -> Iterator[Endpoint]:
    for name in ("preview", "consents"):
        yield Endpoint(f"{OPERATIONS}/{name}", alice, operation_body(client="trigger"), asked)
    confirm, body = f"{OPERATIONS}/consents/cns_{'0' * 32}/confirm", ("otp", "mandate_digest")
    yield Endpoint(confirm, alice, dict.fromkeys(body, SECRET), body)


@pytest.fixture
def endpoints(
    world: mandates.Savings, alice: Caller, trigger: Caller, executor: Caller, issued: Issued
) -> dict[str, Endpoint]:
    """Return every address that takes JSON."""
    operation = f"{OPERATIONS}/{issued.row.public_id}"
    redemption = f"{REDEMPTIONS}/{redeem(executor, issued, 'first').json()['redemption_id']}"
    keyed = Caller({**executor.headers, "Idempotency-Key": "k1"}, executor.client)
    anyone = Caller({})
    person = {"username": "newcomer", "email": "n@example.org", "password": "correct horse battery"}
    named = ("username", "email", "password")
    sealed = ("operation_token", "operation")
    asked = ("type", "operation", "constraints")
    found = [
        Endpoint(f"{AUTH}/register", anyone, person, named),
        Endpoint(
            f"{AUTH}/token",
            anyone,
            {"username": "alice", "password": SECRET, "scope": "", "resource": ""},
            ("username", "password"),
        ),
        Endpoint(f"{AUTH}/token/refresh", anyone, {"refresh": SECRET}, ("refresh",)),
        Endpoint(f"{AUTH}/token/verify", anyone, {"token": SECRET}, ("token",)),
        Endpoint(f"{AUTH}/logout", alice, {"refresh": SECRET}),
        Endpoint(OPERATIONS, alice, operation_body(), asked),
        *consent_endpoints(alice, asked),
        Endpoint(f"{operation}/limits", alice, {"max_occurrences": 1, "reason": "x"}),
        *(
            Endpoint(f"{operation}/{v}", alice, {"reason": "x"})
            for v in ("hold", "resume", "cancel")
        ),
        Endpoint(QUEUE, trigger, job(issued), sealed),
        Endpoint(REDEMPTIONS, keyed, job(issued, occurrence="p0"), sealed),
        Endpoint(f"{redemption}/settle", executor, {"attempt": 1, "reference": "x"}, ("attempt",)),
        Endpoint(
            f"{redemption}/release", executor, {"attempt": 1, "reason": "x"}, ("attempt", "reason")
        ),
    ]
    return {endpoint.path: endpoint for endpoint in found}


def refused(answer: Any, pointer: str | None = None) -> dict[str, Any]:
    """Check that the answer is a problem of ours that repeats nothing; return it."""
    assert 400 <= answer.status_code < 500, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"]
    assert SECRET not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
    if pointer is not None:
        pointers = [error["pointer"] for error in problem["errors"]]
        assert any(each.startswith(pointer) for each in pointers), pointers
    return problem


def junk_for(value: Any) -> list[Any]:
    """Return values of other types than a good one's, and bad ones of its own."""
    if isinstance(value, str):
        return NO_TEXT
    return NO_OBJECT if isinstance(value, Mapping) else NO_COUNT


def with_junk(endpoint: Endpoint) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield bodies with one bad member, and the member's name."""
    for name, value in endpoint.body.items():
        for junk in junk_for(value):
            yield name, {**endpoint.body, name: junk}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_refuses_bodies_that_are_no_object(endpoints: dict[str, Endpoint], body: bytes) -> None:
    for path, endpoint in endpoints.items():
        if body or endpoint.required:  # where every member may be absent, so may the body
            refused(endpoint.caller.post(path, body))


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_refuses_other_content_types(endpoints: dict[str, Endpoint], content_type: str) -> None:
    for path, endpoint in endpoints.items():
        answer = endpoint.caller.client.post(
            path, b"a=" + SECRET.encode(), content_type, headers=endpoint.caller.headers
        )
        assert refused(answer)["status"] in {400, 415}


def test_points_at_members_that_are_missing(endpoints: dict[str, Endpoint]) -> None:
    for path, endpoint in endpoints.items():
        for name in endpoint.required:
            body = {n: v for n, v in endpoint.body.items() if n != name}
            refused(endpoint.caller.post(path, body), f"/{name}")


def test_points_at_members_of_the_wrong_type(endpoints: dict[str, Endpoint]) -> None:
    for path, endpoint in endpoints.items():
        for name, body in with_junk(endpoint):
            text = json.dumps(body)
            bad_text = "\\ud800" in text or "\\u0000" in text
            refused(endpoint.caller.post(path, text), None if bad_text else f"/{name}")


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_refuses_other_methods(endpoints: dict[str, Endpoint], method: str) -> None:
    for path, endpoint in endpoints.items():
        answer = getattr(endpoint.caller.client, method)(path, headers=endpoint.caller.headers)
        assert refused(answer)["status"] == 405


def amount(value: Any, currency: Any = "USD") -> dict[str, Any]:
    return {"amount": {"amount": value, "currency": currency}}


OPERATION_MEMBERS: dict[str, tuple[dict[str, Any], str]] = {
    "number as amount": (amount(50), "/operation/amount/amount"),
    "float as amount": (amount(50.0), "/operation/amount/amount"),
    "too few decimals": (amount("50"), "/operation/amount"),
    "too many decimals": (amount("50.000"), "/operation/amount"),
    "nothing": (amount("0.00"), "/operation/amount/amount"),
    "negative": (amount("-1.00"), "/operation/amount"),
    "exponent": (amount("5e1"), "/operation/amount"),
    "other digits": (amount("٥0.00"), "/operation/amount"),
    "too much": (amount("1" + "0" * 13 + ".00"), "/operation/amount"),
    "unknown currency": (amount("1.00", "ZZZ"), "/operation/amount/currency"),
    "no amount": ({"amount": "50.00 USD"}, "/operation/amount"),
    "null member": ({"reference": None}, "/operation/reference"),
    "number member": ({"reference": 7}, "/operation/reference"),
    "object member": ({"reference": {}}, "/operation/reference"),
    "control character": ({"reference": "a\x07b"}, "/operation/reference"),
    "bidi override": ({"reference": "a\u202eb"}, "/operation/reference"),
    "decomposed": ({"reference": "e\u0301"}, "/operation/reference"),
    "private use": ({"reference": "\ue000"}, "/operation/reference"),
    "unknown member": ({"payee": "x"}, "/operation"),
    "name that is not ASCII": ({"réf": "x"}, "/operation"),
    "another action": ({"action": "savings.withdraw"}, "/operation/action"),
    "too long": ({"reference": "x" * 5000}, "/operation"),
    "too deep": ({"reference": [[[[["x"]]]]]}, "/operation"),
}


@pytest.mark.parametrize(
    ("change", "pointer"), OPERATION_MEMBERS.values(), ids=OPERATION_MEMBERS.keys()
)
def test_points_into_an_operation(alice: Caller, change: dict[str, Any], pointer: str) -> None:
    body = operation_body(operation=mandates.OPERATION | change)

    problem = refused(alice.post(OPERATIONS, json.dumps(body)), pointer)

    assert problem["code"] == "invalid_operation"


def limit(**changes: Any) -> dict[str, Any]:
    (good,) = mandates.constraints()["periodic_limits"]
    return {"periodic_limits": [good | changes]}


CONSTRAINT_MEMBERS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "no end": (lambda: {"valid_to": None}, "/constraints"),
    "end in the past": (lambda: {"valid_to": mandates.in_days(-1)}, "/constraints/valid_to"),
    "end too late": (lambda: {"valid_to": mandates.in_days(367)}, "/constraints/valid_to"),
    "end before start": (
        lambda: {"valid_from": mandates.in_days(3), "valid_to": mandates.in_days(2)},
        "/constraints/valid_to",
    ),
    "start in the past": (lambda: {"valid_from": mandates.in_days(-1)}, "/constraints/valid_from"),
    "number as instant": (lambda: {"valid_to": 1_900_000_000}, "/constraints/valid_to"),
    "no zone": (lambda: {"valid_to": "2026-12-01T00:00:00"}, "/constraints/valid_to"),
    "no date": (lambda: {"valid_to": "2027-02-30T00:00:00Z"}, "/constraints/valid_to"),
    "far future": (lambda: {"valid_to": "9999-12-31T23:59:59Z"}, "/constraints/valid_to"),
    "year 0": (lambda: {"valid_from": "0000-01-01T00:00:00Z"}, "/constraints/valid_from"),
    "no schedule": (lambda: {"schedule": "often", "due_window": "PT1H"}, "/constraints/schedule"),
    "schedule as array": (lambda: {"schedule": [], "due_window": "PT1H"}, "/constraints/schedule"),
    "endless schedule": (
        lambda: {"schedule": "FREQ=DAILY", "due_window": "PT1H"},
        "/constraints/schedule",
    ),
    "schedule past the end": (
        lambda: {"schedule": "FREQ=DAILY;COUNT=90", "due_window": "PT1H"},
        "/constraints/schedule",
    ),
    "huge count": (
        lambda: {"schedule": f"FREQ=DAILY;COUNT={10**18}", "due_window": "PT1H"},
        "/constraints/schedule",
    ),
    "no window": (
        lambda: {"schedule": "FREQ=DAILY;COUNT=2", "due_window": "soon"},
        "/constraints/due_window",
    ),
    "huge window": (
        lambda: {"schedule": "FREQ=DAILY;COUNT=2", "due_window": f"P{10**18}D"},
        "/constraints/due_window",
    ),
    "limits as object": (lambda: {"periodic_limits": {}}, "/constraints/periodic_limits"),
    "unknown period": (lambda: limit(period_type="decade"), "/constraints/periodic_limits/0"),
    "unknown zone": (lambda: limit(time_zone="Mars/Olympus"), "/constraints/periodic_limits/0"),
    "zone as path": (lambda: limit(time_zone="../../etc/passwd"), "/constraints/periodic_limits/0"),
    "another currency": (lambda: limit(currency="EUR"), "/constraints/periodic_limits/0"),
    "count as text": (lambda: limit(max_count="1"), "/constraints/periodic_limits/0"),
    "count of 0": (lambda: limit(max_count=0), "/constraints/periodic_limits/0"),
    "unknown member": (lambda: {"max_ocurrences": 3}, "/constraints"),
    "occurrences as float": (lambda: {"max_occurrences": 3.0}, "/constraints/max_occurrences"),
    "negative occurrences": (lambda: {"max_occurrences": -3}, "/constraints/max_occurrences"),
    "huge occurrences": (lambda: {"max_occurrences": 10**18}, "/constraints/max_occurrences"),
    "total as number": (lambda: {"max_total": 600}, "/constraints/max_total"),
}


@pytest.mark.parametrize(
    ("change", "pointer"), CONSTRAINT_MEMBERS.values(), ids=CONSTRAINT_MEMBERS.keys()
)
def test_points_into_constraints(
    alice: Caller, change: Callable[[], dict[str, Any]], pointer: str
) -> None:
    body = operation_body(constraints=mandates.constraints(**change()))

    problem = refused(alice.post(OPERATIONS, body), pointer)

    assert problem["code"] == "invalid_constraints"
