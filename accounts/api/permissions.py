"""Who may pass, after authentication has told who it is."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.authentication import grant_of
from accounts.errors import InsufficientScope
from accounts.models import ServiceClient, User


class IsUser(BasePermission):
    """A person's own token, not a machine."""

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
