"""Count what this process answers: requests, refusals, redemptions."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from authproject.observability.instruments import (
    http_request_duration,
    http_requests,
    redemptions,
    refusals,
    status_list_served,
)
from authproject.observability.scraper import metrics_are_on
from batchtokens.signals import redemption_accepted

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# There from the start, at 0: to Prometheus the first of a series that is new is no rise.
WATCHED = ("reserved", "repeated", "operation_mismatch", "ledger_behind")
REDEEMING = frozenset({"redemptions", "redemption-batch"})
STATUS_LIST = "oauth-status"
SERVED = frozenset({200, 304})

logger = logging.getLogger(__name__)


class MetricsMiddleware:
    """Stand outside of everything else, so that its time is counted, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not metrics_are_on():
            raise MiddlewareNotUsed
        redemption_accepted.connect(_count_accepted)
        with _harmless():
            for verdict in WATCHED:
                redemptions.labels(verdict=verdict)
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request`, and count it."""
        started = time.monotonic()
        response = self.get_response(request)
        with _harmless():
            _count_answer(request, response, time.monotonic() - started)
        return response


def count_refusal(request: HttpRequest, code: str) -> None:
    """Count one refusal, by its code; where it is a redemption's, that redemption, too."""
    with _harmless():
        refusals.labels(code=code).inc()
        if _redeems(request):
            redemptions.labels(verdict=code).inc()


def _count_accepted(*, created: bool, **signal: Any) -> None:
    redemptions.labels(verdict="reserved" if created else "repeated").inc()


@contextmanager
def _harmless() -> Iterator[None]:
    """Keep the answer where the folder that processes count in is gone or full."""
    try:
        yield
    except OSError:
        logger.exception("metrics: nothing can be counted")


def _count_answer(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    view, method = _view(request), _method(request)
    http_requests.labels(view=view, method=method, status=str(response.status_code)).inc()
    http_request_duration.labels(view=view, method=method).observe(seconds)
    if view == STATUS_LIST and response.status_code in SERVED:
        status_list_served.set(time.time())


def _redeems(request: HttpRequest) -> bool:
    return request.method == "POST" and _view(request) in REDEEMING


def _view(request: HttpRequest) -> str:
    """Name the view: addresses hold ids, and strangers make them up."""
    match = request.resolver_match
    if match is not None:
        return match.view_name
    return "static" if request.path.startswith(settings.STATIC_URL) else "unresolved"


def _method(request: HttpRequest) -> str:
    return request.method if request.method in METHODS else "other"
