"""The guards in front of WSGI, ASGI, Django and DRF applications: real ones, where there are."""

import asyncio
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.middleware import asgi, django, drf, wsgi
from batchtokens_verifier.middleware.guards import (
    AccessTokens,
    AsyncAccessTokens,
)
from batchtokens_verifier.policy import ExecutorPolicy
from tests.unit.verifier.authority import PretendAuthority
from tests.unit.verifier.minting import (
    AUDIENCE,
    ISSUER,
    NOW,
    access_claims,
    mint,
    operation_claims,
)
from tests.unit.verifier.vectors import load
from tests.unit.verifier.web import Answer, Ask, ask_asgi, ask_wsgi, of_django

API = "https://gateway.example/"
URI = f"{ISSUER}/.well-known/jwks.json"
NEEDED = frozenset({"profile"})
POLICY = ExecutorPolicy(ISSUER, AUDIENCE, frozenset({"savings.deposit"}))
REPLY = httpx.Response(200, json=load("tokens")["jwks"])


def guards(scopes: frozenset[str], reply: Any) -> tuple[AccessTokens, AsyncAccessTokens]:
    source = PretendAuthority(reply)
    return (
        AccessTokens(ISSUER, API, JwksCache(URI, http=source.http), scopes, lambda: NOW),
        AsyncAccessTokens(
            ISSUER, API, AsyncJwksCache(URI, http=source.async_http), scopes, lambda: NOW
        ),
    )


def through_wsgi(scopes: frozenset[str], reply: Any, headers: dict[str, str]) -> Answer:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["batchtokens.access_token"].sub.encode()]

    guard = guards(scopes, reply)[0]
    return ask_wsgi(wsgi.AccessTokenMiddleware(application, guard=guard), headers)


def through_asgi(scopes: frozenset[str], reply: Any, headers: dict[str, str]) -> Answer:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = scope["batchtokens.access_token"].sub.encode()
        await send({"type": "http.response.body", "body": body})

    guard = guards(scopes, reply)[1]
    return ask_asgi(asgi.AccessTokenMiddleware(application, guard=guard), headers)


def through_django(scopes: frozenset[str], reply: Any, headers: dict[str, str]) -> Answer:
    guard = guards(scopes, reply)[0]
    middleware = django.access_token_middleware(guard, respond=HttpResponse)
    view = middleware(lambda request: HttpResponse(request.access_token.sub))
    return of_django(view(RequestFactory().get("/api", headers=headers)))


def through_drf(scopes: frozenset[str], reply: Any, headers: dict[str, str]) -> Answer:
    guard = guards(scopes, reply)[0]

    class View(APIView):
        authentication_classes = [
            drf.access_token_authentication(guard, refuse_with=AuthenticationFailed)
        ]
        permission_classes = [IsAuthenticated]
        throttle_classes: list[Any] = []

        def get_exception_handler(self) -> Any:
            return drf.problem_exception_handler(exception_handler)

        def get(self, request: Any) -> Response:
            return Response(request.user.pk)

    response = View.as_view()(RequestFactory().get("/api", headers=headers))
    response.render()
    return of_django(response)


@pytest.fixture(params=[through_wsgi, through_asgi, through_django, through_drf])
def ask(request: pytest.FixtureRequest) -> Ask:
    def asked(token: str | None, *, scopes: frozenset[str] = NEEDED, reply: Any = REPLY) -> Answer:
        headers = {} if token is None else {"authorization": token}
        answer: Answer = request.param(scopes, reply, headers)
        return answer

    return asked


def access(**changes: Any) -> str:
    return mint(access_claims(**changes), key="access")


def test_good_token_reaches_the_application(ask: Ask) -> None:
    answer = ask(f"Bearer {access()}")

    assert answer.status == 200
    assert access_claims()["sub"].encode() in answer.body


def test_without_a_token_a_challenge_comes_back(ask: Ask) -> None:
    answer = ask(None)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {access(aud='https://other.example/')}",
        f"Bearer {access(iss='https://evil.example')}",
        f"Bearer {access(exp=int(NOW.timestamp()))}",
        f"Bearer {mint(access_claims(), key='stranger')}",
        f"Bearer {mint(operation_claims(aud=API))}",
        f"Bearer  {access()}",
        f"Bearer {access()} ",
        f"Bearer {access()}, Bearer {access()}",
        "Bearer ",
        "Bearer",
    ],
    ids=["aud", "iss", "exp", "key", "class", "spaces", "trailing", "twice", "empty", "bare"],
)
def test_bad_tokens_get_one_answer(ask: Ask, authorization: str) -> None:
    answer = ask(authorization)

    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.problem == {
        "type": "about:blank",
        "title": "The token is not valid.",
        "status": 401,
        "code": "token_not_valid",
    }


def test_missing_scope_is_named(ask: Ask) -> None:
    answer = ask(f"Bearer {access()}", scopes=frozenset({"profile", "pay"}))

    assert (answer.status, answer.problem["code"]) == (403, "insufficient_scope")
    expected = 'Bearer error="insufficient_scope", scope="pay profile"'
    assert answer.headers["www-authenticate"] == expected


def test_authority_that_is_away_refuses_nobody_for_ever(ask: Ask) -> None:
    answer = ask(f"Bearer {access()}", reply=httpx.ConnectError("away"))

    assert (answer.status, answer.problem["code"]) == (503, "authority_unavailable")


@pytest.mark.parametrize(
    ("issuer", "audience", "scopes"), [("", API, ()), (ISSUER, "", ()), (ISSUER, API, ("a b",))]
)
def test_empty_policy_is_an_error(issuer: str, audience: str, scopes: tuple[str, ...]) -> None:
    keys = JwksCache(URI, http=PretendAuthority(REPLY).http)

    with pytest.raises(ValueError, match=r"policy|scope"):
        AccessTokens(issuer, audience, keys, frozenset(scopes))


@pytest.mark.parametrize("guard", [asgi.AccessTokenMiddleware, asgi.DeliveryMiddleware])
def test_websockets_do_not_pass_unguarded(guard: Any) -> None:
    reached: list[str] = []
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def send(message: Any) -> None:
        sent.append(message["type"])

    guarded = guard(application, guard=guards(NEEDED, REPLY)[1])
    for kind in ("websocket", "lifespan"):
        asyncio.run(guarded({"type": kind}, None, send))

    assert (reached, sent) == (["lifespan"], ["websocket.close"])
