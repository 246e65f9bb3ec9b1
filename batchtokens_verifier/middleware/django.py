"""Guards for Django, which is not imported: the project hands its `HttpResponse` over.

```python
from django.http import HttpResponse
from batchtokens_verifier.middleware.django import access_token_middleware

AccessTokenMiddleware = access_token_middleware(guard, respond=HttpResponse)
```
"""

from collections.abc import Callable
from typing import Any

from batchtokens_verifier.errors import ProblemError
from batchtokens_verifier.middleware.guards import (
    AccessTokens,
    Deliveries,
    announced_length,
    refuse,
)

GetResponse = Callable[[Any], Any]
Middleware = Callable[[GetResponse], Callable[[Any], Any]]


def access_token_middleware(
    guard: AccessTokens, *, respond: Callable[..., Any], path: str = "/"
) -> Middleware:
    """Return a middleware that guards what is below `path`; sets `request.access_token`."""

    def check(request: Any) -> None:
        request.access_token = guard.check(request.headers.get("Authorization"))

    return _guarding(check, respond, path)


def delivery_middleware(guard: Deliveries, *, respond: Callable[..., Any], path: str) -> Middleware:
    """Return a middleware that guards deliveries to `path`; sets `request.checked_delivery`.

    Its view has to be exempt from CSRF: the worker signs, it has no cookie.
    """

    def check(request: Any) -> None:
        headers = request.headers
        chunked = "Transfer-Encoding" in headers
        announced_length(headers.get("Content-Length"), chunked=chunked)
        request.checked_delivery = guard.check(dict(headers), request.body)

    return _guarding(check, respond, path)


def _guarding(check: Callable[[Any], None], respond: Callable[..., Any], path: str) -> Middleware:
    def middleware(get_response: GetResponse) -> Callable[[Any], Any]:
        def guarded(request: Any) -> Any:
            if request.path_info.startswith(path):
                try:
                    check(request)
                except ProblemError as error:
                    return response(error, respond)
            return get_response(request)

        return guarded

    return middleware


def response(error: ProblemError, respond: Callable[..., Any]) -> Any:
    """Refuse in the view's place."""
    refusal = refuse(error)
    return respond(refusal.body, status=refusal.status, headers=refusal.headers)
