"""The guards in front of applications that take deliveries: signed, bounded, recent, whole."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from django.http import HttpResponse
from django.test import RequestFactory

from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.middleware import asgi, django, wsgi
from batchtokens_verifier.middleware.guards import (
    AsyncDeliveries,
    Deliveries,
)
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
from tests.unit.verifier.web import Answer, Ask, ask_asgi, ask_wsgi, of_django

API = "https://gateway.example/"
URI = f"{ISSUER}/.well-known/jwks.json"
NEEDED = frozenset({"profile"})
POLICY = ExecutorPolicy(ISSUER, AUDIENCE, frozenset({"savings.deposit"}))
REPLY = httpx.Response(200, json=load("tokens")["jwks"])


def deliver_wsgi(headers: dict[str, str], body: bytes) -> Answer:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        found = environ["batchtokens.delivery"]
        return [found.verdict.assurance.encode(), environ["wsgi.input"].read()]

    keys = JwksCache(URI, http=PretendAuthority(REPLY).http)
    guard = Deliveries(SECRET, Verifier(POLICY, keys), clock=lambda: NOW)
    return ask_wsgi(wsgi.DeliveryMiddleware(application, guard=guard), headers, body)


def deliver_asgi(headers: dict[str, str], body: bytes) -> Answer:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        text = scope["batchtokens.delivery"].verdict.assurance.encode()
        await send({"type": "http.response.body", "body": text + (await receive())["body"]})

    keys = AsyncJwksCache(URI, http=PretendAuthority(REPLY).async_http)
    guard = AsyncDeliveries(SECRET, AsyncVerifier(POLICY, keys), clock=lambda: NOW)
    return ask_asgi(asgi.DeliveryMiddleware(application, guard=guard), headers, body)


def deliver_django(headers: dict[str, str], body: bytes) -> Answer:
    keys = JwksCache(URI, http=PretendAuthority(REPLY).http)
    guard = Deliveries(SECRET, Verifier(POLICY, keys), clock=lambda: NOW)
    middleware = django.delivery_middleware(guard, respond=HttpResponse, path="/deliveries")

    def view(request: Any) -> HttpResponse:
        return HttpResponse(request.checked_delivery.verdict.assurance.encode() + request.body)

    extra: dict[str, Any] = {
        "HTTP_" + name.upper().replace("-", "_"): text for name, text in headers.items()
    }
    length = extra.pop("HTTP_CONTENT_LENGTH", "")
    asked = RequestFactory().generic("POST", "/deliveries", body, CONTENT_LENGTH=length, **extra)
    return of_django(middleware(view)(asked))


@pytest.fixture(params=[deliver_wsgi, deliver_asgi, deliver_django])
def deliver(request: pytest.FixtureRequest) -> Ask:
    def delivered(
        token: str,
        *,
        spoil: bytes = b"",
        age: int = 0,
        webhook_id: str = f"{OPERATION_ID}.o0",
        **headers: Any,
    ) -> Answer:
        members = {"operation": OPERATION, "occurrence": "o0", "attempt": 1}
        body = json.dumps({"operation_token": token} | members).encode()
        with time_machine.travel(NOW, tick=False):
            found = signed(body, age=age, webhook_id=webhook_id)
            names = {name.lower(): text for name, text in found.items()}
            body += spoil
            sent = {"content-length": str(len(body))} | names | headers
            kept = {name: text for name, text in sent.items() if text is not None}
            answer: Answer = request.param(kept, body)
        return answer

    return delivered


def test_good_delivery_reaches_the_application_with_its_body(deliver: Ask) -> None:
    answer = deliver(mint(operation_claims()))

    assert answer.status == 200
    assert answer.body.startswith(b'signature, constraints{"operation_token"')


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"spoil": b" "}, 401, "delivery_not_valid"),
        ({"age": 301}, 401, "delivery_not_valid"),
        ({"age": -301}, 401, "delivery_not_valid"),
        ({"webhook-signature": "v1,AAAA"}, 401, "delivery_not_valid"),
        ({"webhook-id": None}, 401, "delivery_not_valid"),
        ({"content-length": None}, 411, "length_required"),
        ({"content-length": "65537"}, 413, "body_too_large"),
        ({"content-length": "-1"}, 401, "delivery_not_valid"),
        ({"content-length": "1e3"}, 401, "delivery_not_valid"),
        ({"transfer-encoding": "chunked"}, 411, "length_required"),
    ],
)
def test_other_deliveries_are_refused(
    deliver: Ask, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = deliver(mint(operation_claims()), **changes)

    assert (answer.status, answer.problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    "webhook_id",
    [
        "op_00000000000000000000000000000000.o0",
        f"{OPERATION_ID}.o1.o0",
        f"x{OPERATION_ID}.o0",
        f"{OPERATION_ID.upper()}.o0",
        ".o0",
    ],
)
def test_signed_delivery_under_another_operations_id_is_refused(
    deliver: Ask, webhook_id: str
) -> None:
    answer = deliver(mint(operation_claims()), webhook_id=webhook_id)

    assert (answer.status, answer.problem["code"]) == (401, "delivery_not_valid")


def test_headers_of_another_delivery_are_refused(deliver: Ask) -> None:
    others = signed(b"{}", webhook_id="op_00000000000000000000000000000000.o0")

    answer = deliver(mint(operation_claims()), **{n.lower(): text for n, text in others.items()})

    assert (answer.status, answer.problem["code"]) == (401, "delivery_not_valid")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (operation_claims(aud="https://other.example/"), "operation_token_not_valid"),
        (
            operation_claims(iat=int((NOW + timedelta(minutes=1)).timestamp())),
            "operation_token_not_valid",
        ),
    ],
)
def test_signed_delivery_of_a_bad_token_is_refused(
    deliver: Ask, claims: dict[str, Any], code: str
) -> None:
    answer = deliver(mint(claims))

    assert (answer.status, answer.problem["code"]) == (403, code)


@pytest.mark.parametrize(
    "messages", [[], [{"type": "http.request", "body": b"x", "more_body": True}]]
)
def test_caller_who_leaves_an_asgi_server_reaches_nothing(messages: list[Any]) -> None:
    left = [*messages, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    keys = AsyncJwksCache(URI, http=PretendAuthority(REPLY).async_http)
    guard = AsyncDeliveries(SECRET, AsyncVerifier(POLICY, keys), clock=lambda: NOW)
    headers = [(b"content-length", b"2")]
    guarded = asgi.DeliveryMiddleware(None, guard=guard)  # type: ignore[arg-type]  # not reached
    asyncio.run(guarded({"type": "http", "headers": headers}, receive, send))

    assert sent[0]["status"] == 401


def test_caller_who_leaves_a_wsgi_server_reaches_nothing() -> None:
    class Gone:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError

    keys = JwksCache(URI, http=PretendAuthority(REPLY).http)
    guard = Deliveries(SECRET, Verifier(POLICY, keys), clock=lambda: NOW)
    guarded = wsgi.DeliveryMiddleware(None, guard=guard)  # type: ignore[arg-type]  # not reached
    told: list[Any] = []
    environ = {"CONTENT_LENGTH": "2", "wsgi.input": Gone()}
    guarded(environ, lambda *started: told.extend(started))

    assert told[0].startswith("401")
