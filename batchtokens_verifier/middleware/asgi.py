"""Guards for any ASGI 3 application: what was checked is put into `scope`.

Whatever is not HTTP has no such token: websockets are closed, the lifespan goes through.
A ProblemError that the application raises before it answers is answered as a guard's own is.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from batchtokens_verifier.errors import BodyTooLarge, DeliveryNotValid, ProblemError
from batchtokens_verifier.middleware.guards import (
    ACCESS_KEY,
    DELIVERY_KEY,
    AsyncAccessTokens,
    AsyncDeliveries,
    announced_length,
    refuse,
)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class AccessTokenMiddleware:
    """Lets requests with a good access token through; `scope["batchtokens.access_token"]`."""

    def __init__(self, application: Application, *, guard: AsyncAccessTokens) -> None:
        self._application = application
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                authorization = headers_of(scope).get("authorization")
                checked = await self._guard.check(authorization)
            except ProblemError as error:
                await answer(error, send)
                return
            scope = {**scope, ACCESS_KEY: checked}
            await _answer_errors(self._application, scope, receive, send)
        else:
            await _pass_lifespan(self._application, scope, receive, send)


class DeliveryMiddleware:
    """Lets good deliveries through, with the body; `scope["batchtokens.delivery"]`."""

    def __init__(self, application: Application, *, guard: AsyncDeliveries) -> None:
        self._application = application
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                body = await read_body(scope, receive)
                checked = await self._guard.check(headers_of(scope), body)
            except ProblemError as error:
                await answer(error, send)
                return
            scope, receive = {**scope, DELIVERY_KEY: checked}, replay(body, receive)
            await _answer_errors(self._application, scope, receive, send)
        else:
            await _pass_lifespan(self._application, scope, receive, send)


async def _answer_errors(
    application: Application, scope: Scope, receive: Receive, send: Send
) -> None:
    begun = False

    async def noting(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        await application(scope, receive, noting)
    except ProblemError as error:
        if begun:
            raise
        await answer(error, send)


async def _pass_lifespan(
    application: Application, scope: Scope, receive: Receive, send: Send
) -> None:
    if scope["type"] == "lifespan":
        await application(scope, receive, send)
    else:
        await close(send)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the request's headers; one that came twice is joined, and then fits nothing."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Read exactly as many bytes as were announced, and no more than a delivery can have."""
    headers = headers_of(scope)
    length = announced_length(headers.get("content-length"), chunked="transfer-encoding" in headers)
    body, more = bytearray(), True  # whose many small pieces cost no more than a large one
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise DeliveryNotValid("The body ended early.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > length:
            raise BodyTooLarge
    if len(body) != length:
        raise DeliveryNotValid("The body ended early.")
    return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once more, then what else comes."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


async def answer(error: ProblemError, send: Send) -> None:
    """Refuse in the application's place."""
    refusal = refuse(error)
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})


async def close(send: Send) -> None:
    """Close a websocket before it opens: policy violation (RFC 6455 §7.4.1)."""
    await send({"type": "websocket.close", "code": 1008})
