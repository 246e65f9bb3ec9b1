"""Let a developer use the browsable pages with the admin's sign-in; in development only."""

from django.conf import settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from accounts.models import FIRST_PARTY, User
from accounts.scopes import USER_SCOPES, meta_scopes
from accounts.tokens.access import Grant


class BrowserSession(SessionAuthentication):
    """A signed-in browser opens what a token with every scope of its person would."""

    def authenticate(self, request: Request) -> tuple[User, Grant] | None:
        """Return the signed-in person; forms must carry their CSRF token."""
        signed_in = super().authenticate(request)
        if signed_in is None:
            return None
        user: User = signed_in[0]
        return user, Grant(
            subject=user,
            scope=frozenset({*USER_SCOPES, *meta_scopes()}),
            client_id=FIRST_PARTY,
            audience=settings.ISSUER_URL,
            auth_time=user.last_login,
        )
