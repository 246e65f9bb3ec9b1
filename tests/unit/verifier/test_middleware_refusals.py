"""What an application behind a guard raises of this package is answered as the guard would."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path

from batchtokens_verifier.errors import (
    AuthorityUnavailable,
    OperationHeld,
    ProblemError,
    SlotAlreadyRedeemed,
)
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.middleware import asgi, django, wsgi
from batchtokens_verifier.middleware.guards import AsyncDeliveries, Deliveries
from batchtokens_verifier.policy import ExecutorPolicy
from batchtokens_verifier.verifier import AsyncVerifier, Verifier
from tests.unit.verifier.authority import PretendAuthority
from tests.unit.verifier.minting import (
    AUDIENCE,
    ISSUER,
    NOW,
    OPERATION,
    OPERATION_ID,
    mint,
    operation_claims,
)
from tests.unit.verifier.test_deliveries import SECRET, signed
from tests.unit.verifier.vectors import load
from tests.unit.verifier.web import Answer, ask_asgi, ask_wsgi, of_django

URI = f"{ISSUER}/.well-known/jwks.json"
POLICY = ExecutorPolicy(ISSUER, AUDIENCE, frozenset({"savings.deposit"}))
REPLY = httpx.Response(200, json=load("tokens")["jwks"])
BODY = json.dumps(
    {
        "operation_token": mint(operation_claims()),
        "operation": OPERATION,
        "occurrence": "o0",
        "attempt": 1,
    }
).encode()
Raising = Callable[[Exception], Answer]


def guard() -> Deliveries:
    keys = JwksCache(URI, http=PretendAuthority(REPLY).http)
    return Deliveries(SECRET, Verifier(POLICY, keys), clock=lambda: NOW)


def in_wsgi(error: Exception, headers: dict[str, str]) -> Answer:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        raise error

    return ask_wsgi(wsgi.DeliveryMiddleware(application, guard=guard()), headers, BODY)


def in_asgi(error: Exception, headers: dict[str, str]) -> Answer:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return ask_asgi(guarded_asgi(application), headers, BODY)


def guarded_asgi(application: Any) -> Any:
    keys = AsyncJwksCache(URI, http=PretendAuthority(REPLY).async_http)
    checks = AsyncDeliveries(SECRET, AsyncVerifier(POLICY, keys), clock=lambda: NOW)
    return asgi.DeliveryMiddleware(application, guard=checks)


delivery_guard = django.delivery_middleware(guard(), respond=HttpResponse, path="/deliveries")


class Raised:
    """Django reads where its views are from an object like this one."""

    def __init__(self, error: Exception) -> None:
        self.urlpatterns = [path("deliveries", self.view)]
        self.error = error

    def view(self, request: Any) -> HttpResponse:
        raise self.error


def in_django(error: Exception, headers: dict[str, str]) -> Answer:
    """Ask the whole of Django: only that calls `process_exception`."""
    sent = {name: text for name, text in headers.items() if name != "content-length"}
    middleware = [f"{__name__}.delivery_guard"]
    with override_settings(ROOT_URLCONF=Raised(error), MIDDLEWARE=middleware):
        client = Client(headers=sent)
        return of_django(client.post("/deliveries", BODY, content_type="application/json"))


@pytest.fixture(params=[in_wsgi, in_asgi, in_django])
def raising(request: pytest.FixtureRequest) -> Raising:
    def raised(error: Exception) -> Answer:
        with time_machine.travel(NOW, tick=False):
            answer: Answer = request.param(error, headers())
        return answer

    return raised


def headers() -> dict[str, str]:
    found = signed(BODY, webhook_id=f"{OPERATION_ID}.o0")
    return {"content-length": str(len(BODY))} | {n.lower(): text for n, text in found.items()}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationHeld(), 403),
        (SlotAlreadyRedeemed(redemption_id="rdm_a"), 409),
        (AuthorityUnavailable(), 503),
    ],
)
def test_refusal_by_the_application_is_answered_with_its_code(
    raising: Raising, error: ProblemError, status: int
) -> None:
    answer = raising(error)

    assert (answer.status, answer.problem["code"]) == (status, error.code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) is (status == 503)


def test_other_errors_are_the_applications_own(raising: Raising) -> None:
    with pytest.raises(LookupError):
        raising(LookupError("mine"))


def test_answer_that_has_begun_is_not_begun_again() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OperationHeld

    with time_machine.travel(NOW, tick=False), pytest.raises(OperationHeld):
        ask_asgi(guarded_asgi(application), headers(), BODY)


def test_wsgi_server_is_told_that_this_answer_replaces_another() -> None:
    started: list[Any] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        raise OperationHeld

    guarded = wsgi.DeliveryMiddleware(application, guard=guard())
    with time_machine.travel(NOW, tick=False):
        sent = {f"HTTP_{n.upper().replace('-', '_')}": text for n, text in headers().items()}
        environ = sent | {"CONTENT_LENGTH": str(len(BODY)), "wsgi.input": io.BytesIO(BODY)}
        guarded(environ, lambda *arguments: started.append(arguments))

    assert [arguments[0][:3] for arguments in started] == ["200", "403"]
    assert started[1][2][0] is OperationHeld  # PEP 3333: exc_info
