"""Give every request an id that its answer, its log lines and its error body share."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-Id"
# What is taken over from a caller goes into logs and answers: letters, digits, dots and dashes.
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
PROBE_PATHS = frozenset({"/livez", "/readyz", "/metrics"})

logger = logging.getLogger("authproject.request")
_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """Return the id of the request being answered, or "" outside of one."""
    return _current.get()


class RequestIdMiddleware:
    """Take over or make the request's id, and log one line about its outcome."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request` under its id."""
        offered = request.headers.get(HEADER, "")
        sane = SANE_REQUEST_ID.fullmatch(offered)
        token = _current.set(offered if sane else secrets.token_hex(16))
        started = time.monotonic()
        try:
            response = self.get_response(request)
            response.headers[HEADER] = _current.get()
            _log_outcome(request, response, time.monotonic() - started)
        finally:
            _current.reset(token)
        return response


def _log_outcome(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Log method, path, status and time: no query string, no header, no body."""
    level = logging.DEBUG if request.path in PROBE_PATHS else logging.INFO
    logger.log(
        level,
        "%s %s %s",
        request.method,
        request.path,
        response.status_code,
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
