"""Who may pass, after authentication has told who it is."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.authentication import grant_of
from accounts.errors import InsufficientScope
from accounts.models import ServiceClient, User
from accounts.services.require_fresh_authentication import require_fresh_authentication


class IsUser(BasePermission):
    """A person's own token or API key, not a machine."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether a person is there."""
        grant = grant_of(request)
        return grant is not None and isinstance(grant.subject, User)


class IsServiceClient(BasePermission):
    """A machine, not a person's token."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether a service client is there."""
        grant = grant_of(request)
        return grant is not None and isinstance(grant.subject, ServiceClient)


class FreshAuthentication(BasePermission):
    """Who has signed in just now, with a code where they have an authenticator app."""

    needs = "a recent sign-in or step-up"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether a person is there.

        Raises AuthenticationTooOld (RFC 9470).
        """
        grant = grant_of(request)
        if grant is None:
            return False
        require_fresh_authentication(grant=grant)
        return True


class FreshToChange(APIView):
    """A view of which whatever is not only looked at wants a recent sign-in (RFC 9470)."""

    def get_permissions(self) -> list[Any]:
        """Ask for more than the view's own permissions where a secret is shown or changed."""
        own = list(super().get_permissions())
        return own if self.request.method in SAFE_METHODS else [*own, FreshAuthentication()]


class ScopePermission(BasePermission):
    """Holders of one scope; the API's description reads it here."""

    scope: str

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether somebody is there.

        Raises InsufficientScope, which names the scope, if their credential lacks it.
        """
        grant = grant_of(request)
        if grant is None:
            return False
        if self.scope not in grant.scope:
            raise InsufficientScope(self.scope)
        return True


def HasScope(name: str) -> type[ScopePermission]:  # noqa: N802 - it makes a class and reads like one
    """Make the permission that wants this scope."""
    return type("HasScope", (ScopePermission,), {"scope": name})
