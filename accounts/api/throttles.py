"""Volume limits as DRF asks for them: before the view, so before any password is hashed.

Put the narrow one first: what it refuses costs nothing of the wider one.
"""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.authentication import context_of
from accounts.limits import ANONYMOUS, EXPENSIVE, REFRESH, SIGN_IN, Limit
from accounts.services.limit_tries import limit_tries


class LimitThrottle(BaseThrottle):
    """Counts a try; DRF's own throttles would read first and write after.

    methods: which requests count; None: all do.
    """

    limit: ClassVar[Limit]
    methods: ClassVar[frozenset[str] | None] = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Let the request pass.

        Raises RateLimited.
        """
        if self.methods is None or request.method in self.methods:
            limit_tries(self.limit, context=context_of(request))
        return True


class AnonymousThrottle(LimitThrottle):
    """For every address that anybody may call without a credential."""

    limit = ANONYMOUS


class SignInThrottle(LimitThrottle):
    """For both steps of a sign-in, and for step-ups: their tries count together."""

    limit = SIGN_IN


class ExpensiveThrottle(LimitThrottle):
    """For what sends an e-mail, or hashes a password that is being set."""

    limit = EXPENSIVE


class BeginThrottle(ExpensiveThrottle):
    """For an address that is expensive to POST to, and cheap to look at."""

    methods = frozenset({"POST"})


class RefreshThrottle(LimitThrottle):
    limit = REFRESH


def limits_of(view: object) -> list[Limit]:
    """Return the limits of a view class, in the order in which they count."""
    return [throttle.limit for throttle in _throttles_of(view)]


def is_limited(view: object, method: str) -> bool:
    """Say whether requests with this method count anywhere."""
    return any(each.methods is None or method in each.methods for each in _throttles_of(view))


def _throttles_of(view: object) -> list[type[LimitThrottle]]:
    throttles = getattr(view, "throttle_classes", ())
    return [throttle for throttle in throttles if issubclass(throttle, LimitThrottle)]
