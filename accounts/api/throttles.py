"""Volume limits as DRF asks for them: before the view, so before any password is hashed."""

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.authentication import context_of
from accounts.errors import RateLimited
from accounts.limits import REFRESH, REGISTER, SIGN_IN, Limit, check_limit
from accounts.services.record_event import count_refusal


class LimitThrottle(BaseThrottle):
    """Counts a try; DRF's own throttles would read first and write after."""

    limit: Limit

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Let the request pass.

        Raises RateLimited; the first refusal of a window is recorded, the others only cost.
        """
        context = context_of(request)
        try:
            check_limit(self.limit, context=context)
        except RateLimited as refusal:
            if refusal.first:
                count_refusal(code="rate_limited", reason=self.limit.name, context=context)
            raise
        return True


class SignInThrottle(LimitThrottle):
    limit = SIGN_IN


class RegisterThrottle(LimitThrottle):
    limit = REGISTER


class RefreshThrottle(LimitThrottle):
    limit = REFRESH
