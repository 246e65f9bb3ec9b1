"""Who may do what with operations; `needs` tells it to the API's description."""

from __future__ import annotations

from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.authentication import grant_of
from accounts.api.permissions import IsUser
from accounts.errors import InsufficientScope
from accounts.models import User
from accounts.scopes import ACCOUNT, PROFILE, TOKEN_EXCHANGE


class ReadsOperations(BasePermission):
    """A person's ordinary token, or a trigger's credential."""

    needs = f"the scope `{PROFILE}` or `{ACCOUNT}`; for a trigger `{TOKEN_EXCHANGE}`"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether somebody is there. Raises InsufficientScope."""
        grant = grant_of(request)
        if grant is None:
            return False
        reading = (PROFILE, ACCOUNT) if isinstance(grant.subject, User) else (TOKEN_EXCHANGE,)
        if grant.scope.isdisjoint(reading):
            raise InsufficientScope(reading[0])
        return True


class AsksForOperations(IsUser):
    """A person; the service compares the scope with the operation type's."""

    needs = "a person's token with the operation type's meta-scope"


class GivesConsent(IsUser):
    """A person; the service compares the scope with the operation type's."""

    needs = f"a person's token with the scope `{ACCOUNT}` or the operation type's meta-scope"


class ChangesOperations(IsAuthenticated):
    """Anybody; the service knows whose operation it is and which scopes its type accepts."""

    needs = (
        f"the scope `{ACCOUNT}` or the operation type's meta-scope;"
        f" for a trigger `{TOKEN_EXCHANGE}`"
    )
