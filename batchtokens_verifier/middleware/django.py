"""Guards for Django, which is not imported: the project hands its `HttpResponse` over.

```python
# guards.py; in settings.py: MIDDLEWARE = [..., "guards.api_guard"]
from django.http import HttpResponse
from batchtokens_verifier.middleware.django import access_token_middleware

api_guard = access_token_middleware(guard, respond=HttpResponse, path="/api/")
```

A ProblemError that a view below `path` raises is answered as a guard's own is.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    return lambda get_response: _Guarded(get_response, check, respond, path)


@dataclass(frozen=True)
class _Guarded:
    get_response: GetResponse
    check: Callable[[Any], None]
    respond: Callable[..., Any]
    path: str

    def __call__(self, request: Any) -> Any:
        if self._is_guarded(request):
            try:
                self.check(request)
            except ProblemError as error:
                return response(error, self.respond)
        return self.get_response(request)

    def process_exception(self, request: Any, error: Exception) -> Any:
        """Django asks this about what a view raises; None: it is somebody else's."""
        if self._is_guarded(request) and isinstance(error, ProblemError):
            return response(error, self.respond)
        return None

    def _is_guarded(self, request: Any) -> bool:
        return bool(request.path_info.startswith(self.path))


def response(error: ProblemError, respond: Callable[..., Any]) -> Any:
    """Refuse in the view's place."""
    refusal = refuse(error)
    return respond(refusal.body, status=refusal.status, headers=refusal.headers)
