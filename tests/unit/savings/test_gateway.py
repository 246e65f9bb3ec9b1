"""The gateway lets through what the authority vouches for, unchanged, and nothing else."""

import json
from typing import Any

import httpx
import pytest

from examples.savings.gateway import Gateway
from examples.savings.web import Application
from tests.unit.savings.wsgi import BEARER, Answer, call

AUDIENCE = "https://savings.example/trigger"
GOOD = {"active": True, "aud": AUDIENCE, "scope": "profile trigger_continuous_savings"}
BODY = b'{"operation": {}, "constraints": {}}'


class Upstream:
    """The authority's introspection and the trigger."""

    def __init__(self) -> None:
        self.introspection: Any = GOOD
        self.status = 200
        self.trigger = httpx.Response(201, json={"grant_id": "op_1"})
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/trigger/savings":
            return self.trigger
        return httpx.Response(self.status, json=self.introspection)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


def post(upstream: Upstream, headers: dict[str, str] | None = None) -> Answer:
    gateway = Gateway(
        http=httpx.Client(transport=httpx.MockTransport(upstream)),
        introspection_url="https://id.example/oauth/introspect",
        credentials=("gateway", "gateways-secret"),
        trigger_url="https://savings.example/trigger/savings",
        trigger_audience=AUDIENCE,
    )
    routes = {("POST", "/gateway/savings"): gateway.post_savings}
    application = Application(routes, transient=(httpx.TransportError,))
    return call(
        application, "POST", "/gateway/savings", BODY, BEARER if headers is None else headers
    )


def test_passes_the_very_same_token_and_body_on(upstream: Upstream) -> None:
    answer = post(upstream)
    passed = upstream.requests[1]
    assert (answer.status, answer.json) == (201, {"grant_id": "op_1"})
    assert passed.headers["Authorization"] == "Bearer alices-access-token"
    assert passed.content == BODY


def test_introspects_as_itself(upstream: Upstream) -> None:
    post(upstream)
    asked = upstream.requests[0]
    assert asked.url == "https://id.example/oauth/introspect"
    assert (
        asked.headers["Authorization"] == httpx.BasicAuth("gateway", "gateways-secret")._auth_header
    )
    assert b"token=alices-access-token" in asked.content


@pytest.mark.parametrize(
    "introspection",
    [
        {"active": False},
        {},
        GOOD | {"active": "true"},
        GOOD | {"aud": "https://id.example"},
        GOOD | {"aud": [AUDIENCE, "https://id.example"]},
        {name: value for name, value in GOOD.items() if name != "aud"},
    ],
)
def test_refuses_a_token_that_is_not_good_here(
    introspection: dict[str, Any], upstream: Upstream
) -> None:
    upstream.introspection = introspection
    answer = post(upstream)
    assert (answer.status, answer.code) == (401, "token_not_valid")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "scope", ["", "profile", "trigger_continuous_savings_x", "savings.deposit"]
)
def test_refuses_a_token_without_the_meta_scope(scope: str, upstream: Upstream) -> None:
    upstream.introspection = GOOD | {"scope": scope}
    answer = post(upstream)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert 'scope="trigger_continuous_savings"' in answer.headers["WWW-Authenticate"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer ", "Bearer  a", "Bearer a ", "Basic YQ=="]
)
def test_asks_for_a_bearer_token(value: str | None, upstream: Upstream) -> None:
    answer = post(upstream, {} if value is None else {"authorization": value})
    assert (answer.status, answer.code) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests == []


@pytest.mark.parametrize(("theirs", "ours"), [(503, 503), (429, 503), (401, 502), (403, 502)])
def test_lets_nothing_through_while_introspection_fails(
    theirs: int, ours: int, upstream: Upstream
) -> None:
    upstream.status = theirs
    assert post(upstream).status == ours
    assert len(upstream.requests) == 1


def test_lets_nothing_through_on_an_answer_that_is_no_object(upstream: Upstream) -> None:
    upstream.introspection = [GOOD]
    assert post(upstream).status == 502


def test_hands_back_the_triggers_refusal(upstream: Upstream) -> None:
    refusal = {"code": "invalid_scope"}
    headers = {"Content-Type": "application/problem+json"}
    upstream.trigger = httpx.Response(400, content=json.dumps(refusal), headers=headers)
    answer = post(upstream)
    assert (answer.status, answer.json) == (400, refusal)
    assert answer.headers["Content-Type"] == "application/problem+json"
