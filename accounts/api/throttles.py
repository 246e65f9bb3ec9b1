"""Volume limits as DRF asks for them: before the view, so before any password is hashed."""

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.authentication import context_of
from accounts.limits import REFRESH, REGISTER, SIGN_IN, Limit
from accounts.services.limit_tries import limit_tries


class LimitThrottle(BaseThrottle):
    """Counts a try; DRF's own throttles would read first and write after."""

    limit: Limit

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Let the request pass.

        Raises RateLimited.
        """
        limit_tries(self.limit, context=context_of(request))
        return True


class SignInThrottle(LimitThrottle):
    limit = SIGN_IN


class RegisterThrottle(LimitThrottle):
    limit = REGISTER


class RefreshThrottle(LimitThrottle):
    limit = REFRESH
