"""Guards for any WSGI application (PEP 3333): what was checked is put into `environ`.

A ProblemError that the application's call raises is answered as a guard's own is.
"""

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from batchtokens_verifier.errors import DeliveryNotValid, ProblemError
from batchtokens_verifier.middleware.guards import (
    ACCESS_KEY,
    DELIVERY_KEY,
    AccessTokens,
    Deliveries,
    announced_length,
    refuse,
)

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]


class AccessTokenMiddleware:
    """Lets requests with a good access token through; `environ["batchtokens.access_token"]`."""

    def __init__(self, application: Application, *, guard: AccessTokens) -> None:
        self._application = application
        self._guard = guard

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ[ACCESS_KEY] = self._guard.check(environ.get("HTTP_AUTHORIZATION"))
        except ProblemError as error:
            return answer(error, start_response)
        return _answered(self._application, environ, start_response)


class DeliveryMiddleware:
    """Lets good deliveries through, with the body; `environ["batchtokens.delivery"]`."""

    def __init__(self, application: Application, *, guard: Deliveries) -> None:
        self._application = application
        self._guard = guard

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body = read_body(environ)
            environ[DELIVERY_KEY] = self._guard.check(headers_of(environ), body)
        except ProblemError as error:
            return answer(error, start_response)
        environ["wsgi.input"] = io.BytesIO(body)
        return _answered(self._application, environ, start_response)


def _answered(
    application: Application, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    try:
        return application(environ, start_response)
    except ProblemError as error:
        refusal = refuse(error)
        # With the exception: what the application had begun is replaced.
        start_response(refusal.status_line, list(refusal.headers.items()), sys.exc_info())
        return [refusal.body]


def headers_of(environ: Environ) -> dict[str, str]:
    """Return the request's headers, names in lower case."""
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


def read_body(environ: Environ) -> bytes:
    """Read exactly as many bytes as were announced, and no more than a delivery can have."""
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    length = announced_length(environ.get("CONTENT_LENGTH"), chunked=chunked)
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except OSError:  # as servers tell that the caller has gone
        raise DeliveryNotValid("The body ended early.") from None
    if len(body) != length:
        raise DeliveryNotValid("The body ended early.")
    return body


def answer(error: ProblemError, start_response: StartResponse) -> list[bytes]:
    """Refuse in the application's place."""
    refusal = refuse(error)
    start_response(refusal.status_line, list(refusal.headers.items()))
    return [refusal.body]
