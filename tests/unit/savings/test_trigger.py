"""The trigger asks for exactly one mandate, queues it, and lets its token be seen by nobody."""

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from examples.savings.trigger import OPERATION_TYPE, STANDING_ORDER, Trigger
from examples.savings.web import Application
from tests.unit.savings.authority import AUDIENCE, OPERATION
from tests.unit.savings.wsgi import BEARER, Answer, call

OPERATION_TOKEN = "eyJ.the-operation-token.c2ln"
CONSTRAINTS = {"valid_to": "2027-11-02T00:00:00Z", "schedule": "FREQ=MONTHLY;COUNT=12"}
ORDER = {"operation": OPERATION, "constraints": CONSTRAINTS}
GRANT = {
    "access_token": OPERATION_TOKEN,
    "token_type": "Bearer",
    "expires_in": 31_536_000,
    "authorization_details": [{"type": "savings.deposit"}],
    "grant_id": "op_1",
}


class Authority:
    """Token endpoint and queue."""

    def __init__(self) -> None:
        self.answers = {
            "/oauth/token": httpx.Response(200, json=GRANT),
            "/api/v1/queue": httpx.Response(201, json={"queued": 12}),
        }
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers[request.url.path]

    def form(self, number: int = 0) -> dict[str, str]:
        return {
            name: value
            for name, [value] in parse_qs(self.requests[number].content.decode()).items()
        }

    def details(self) -> dict[str, Any]:
        [detail] = json.loads(self.form()["authorization_details"])
        assert isinstance(detail, dict)
        return detail


@pytest.fixture
def authority() -> Authority:
    return Authority()


def post(
    authority: Authority,
    order: Any = ORDER,
    headers: Mapping[str, str] = BEARER,
    kind: str = OPERATION_TYPE,
) -> Answer:
    trigger = Trigger(
        http=httpx.Client(transport=httpx.MockTransport(authority)),
        authority_url="https://id.example",
        credentials=("trigger", "triggers-secret"),
        executor_audience=AUDIENCE,
        operation_type=kind,
    )
    routes = {("POST", "/trigger/savings"): trigger.post_savings}
    application = Application(routes, transient=(httpx.TransportError,))
    return call(application, "POST", "/trigger/savings", json.dumps(order).encode(), headers)


def test_answers_the_mandate_without_its_token(authority: Authority) -> None:
    answer = post(authority)
    shown = {name: GRANT[name] for name in ("grant_id", "expires_in", "authorization_details")}
    assert (answer.status, answer.json) == (201, shown | {"queued": 12})
    assert OPERATION_TOKEN not in answer.content.decode()


def test_exchanges_the_persons_token(authority: Authority) -> None:
    post(authority)
    form = authority.form()
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert form["subject_token"] == "alices-access-token"
    assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert (form["audience"], form["scope"]) == (AUDIENCE, "savings.deposit")


def test_asks_for_the_operation_within_the_constraints(authority: Authority) -> None:
    post(authority)
    assert authority.details() == {
        "type": "savings.deposit",
        "actions": ["savings.deposit"],
        "locations": [AUDIENCE],
        "operation": OPERATION,
        **CONSTRAINTS,
    }


def test_constraints_cannot_replace_what_the_trigger_sets(authority: Authority) -> None:
    sly = {"type": "x", "actions": ["x"], "locations": ["https://evil.example"], "operation": {}}
    post(authority, ORDER | {"constraints": CONSTRAINTS | sly})
    detail = authority.details()
    assert (detail["type"], detail["locations"]) == ("savings.deposit", [AUDIENCE])
    assert detail["operation"] == OPERATION


def test_passes_the_consent_on(authority: Authority) -> None:
    post(authority, ORDER | {"consent_id": "cns_1"})
    assert authority.form()["consent_id"] == "cns_1"
    assert "consent_id" not in authority.details()


def test_names_no_consent_where_there_is_none(authority: Authority) -> None:
    post(authority)
    assert "consent_id" not in authority.form()


def test_another_consent_has_another_key(authority: Authority) -> None:
    post(authority, ORDER | {"consent_id": "cns_1"})
    post(authority, ORDER | {"consent_id": "cns_2"})
    first, _, second, _ = (request.headers["Idempotency-Key"] for request in authority.requests)
    assert first != second


def test_asks_for_the_type_that_it_is_for(authority: Authority) -> None:
    post(authority, kind=STANDING_ORDER)
    assert authority.form()["scope"] == authority.details()["type"] == STANDING_ORDER
    assert authority.details()["actions"] == [STANDING_ORDER]


def test_queues_the_operation_token_with_its_operation(authority: Authority) -> None:
    post(authority)
    queued = json.loads(authority.requests[1].content)
    assert queued == {"operation_token": OPERATION_TOKEN, "operation": OPERATION}


def test_asks_again_under_the_same_key(authority: Authority) -> None:
    authority.answers["/api/v1/queue"] = httpx.Response(503)
    assert post(authority).status == 503
    post(authority)
    keys = [request.headers["Idempotency-Key"] for request in authority.requests]
    assert (keys[0], keys[1]) == (keys[2], keys[3])
    assert keys[0] != keys[1]


def test_another_order_has_another_key(authority: Authority) -> None:
    post(authority)
    post(authority, ORDER | {"constraints": CONSTRAINTS | {"max_occurrences": 6}})
    first, _, second, _ = (request.headers["Idempotency-Key"] for request in authority.requests)
    assert first != second


def test_another_person_has_another_key(authority: Authority) -> None:
    post(authority)
    post(authority, headers={"authorization": "Bearer bobs-access-token"})
    first, _, second, _ = (request.headers["Idempotency-Key"] for request in authority.requests)
    assert first != second


def test_gives_the_authoritys_refusal_to_the_caller(authority: Authority) -> None:
    refusal = {"error": "invalid_scope", "error_description": "The meta-scope is missing."}
    authority.answers["/oauth/token"] = httpx.Response(400, json=refusal)
    answer = post(authority)
    assert (answer.status, answer.code) == (400, "invalid_scope")
    assert answer.json["detail"] == "The meta-scope is missing."
    assert len(authority.requests) == 1


@pytest.mark.parametrize(("theirs", "ours"), [(401, 502), (429, 503), (500, 503), (503, 503)])
def test_keeps_its_own_troubles_with_the_authority_to_itself(
    theirs: int, ours: int, authority: Authority
) -> None:
    authority.answers["/oauth/token"] = httpx.Response(theirs, json={"error": "invalid_client"})
    answer = post(authority)
    assert answer.status == ours
    assert "invalid_client" not in answer.content.decode()


@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({"constraints": {}}, "/operation"),
        ({"operation": [], "constraints": {}}, "/operation"),
        ({"operation": {}}, "/constraints"),
        ({"operation": {}, "constraints": "P1Y"}, "/constraints"),
        (ORDER | {"consent_id": 7}, "/consent_id"),
    ],
)
def test_points_at_the_member_that_is_wrong(
    order: dict[str, Any], pointer: str, authority: Authority
) -> None:
    answer = post(authority, order)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, pointer)
    assert authority.requests == []


def test_logs_no_token(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    post(authority)
    authority.answers["/api/v1/queue"] = httpx.Response(400, json={"code": "outside_validity"})
    assert post(authority).code == "outside_validity"
    assert OPERATION_TOKEN not in caplog.text
    assert "alices-access-token" not in caplog.text
