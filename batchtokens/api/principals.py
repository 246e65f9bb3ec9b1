"""Who is asking: DRF's request knows principals only as Django's users."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request

from accounts.models import ServiceClient, User
from accounts.tokens.access import Grant


def grant_of(request: Request) -> Grant:
    """Return what the request's credential grants; permissions have seen that there is one."""
    return cast("Grant", request.auth)


def principal_of(request: Request) -> User | ServiceClient:
    return grant_of(request).subject


def client_of(request: Request) -> ServiceClient:
    """Return the client that IsServiceClient let pass."""
    return cast("ServiceClient", grant_of(request).subject)
