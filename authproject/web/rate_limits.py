"""Say on every answer of a limited address what is left (draft-ietf-httpapi-ratelimit-headers).

A refusal brings its own RateLimit field; this adds the policies that it does not name.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.api.throttles import limits_of
from accounts.models import RateUsage, RequestContext


class RateLimitMiddleware:
    """Stand outside of whatever answers, and inside of what gives the request its context."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request`, and say what it used."""
        response = self.get_response(request)
        if settings.RATE_LIMITS:
            _describe(response, RequestContext.of(request).usages, _unused(request))
        return response


def _describe(response: HttpResponse, usages: list[RateUsage], unused: list[RateUsage]) -> None:
    if usages:
        tightest = min(usages, key=lambda usage: (usage.left, -usage.reset))
        field = f'"{tightest.policy}";r={tightest.left};t={tightest.reset}'
        response.headers.setdefault("RateLimit", field)
    policies = {usage.policy: _policy(usage) for usage in [*unused, *usages]}
    said = response.headers.get("RateLimit-Policy", "")
    others = [text for text in policies.values() if text != said]
    if others:
        response.headers["RateLimit-Policy"] = ", ".join(filter(None, [said, *others]))


def _policy(usage: RateUsage) -> str:
    return f'"{usage.policy}";q={usage.limit};w={usage.window}'


def _unused(request: HttpRequest) -> list[RateUsage]:
    """Return the windows of the address; those that were counted come again, as they were."""
    match = request.resolver_match
    return [
        RateUsage(limit.policy_of(window), window.tries, window.seconds)
        for limit in limits_of(getattr(match and match.func, "cls", None))
        for window in limit.windows
    ]
