"""How the API's description (OpenAPI 3.1) tells the ways to authenticate, and their scopes."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.api.authentication import API_KEY_HEADER
from accounts.api.permissions import ScopePermission


class _Scheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # untyped there
    """Names the scopes that a view's permissions want."""

    definition: dict[str, Any]

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Describe the scheme."""
        return self.definition

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        """Name the scopes; OpenAPI 3.1 lets every scheme list them."""
        permissions = auto_schema.view.get_permissions()
        scopes = [p.scope for p in permissions if isinstance(p, ScopePermission)]
        return {str(self.name): scopes}


class BearerScheme(_Scheme):  # type: ignore[no-untyped-call] # untyped there
    target_class = "accounts.api.authentication.BearerAuthentication"
    name = "bearer"
    definition = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class BasicScheme(_Scheme):  # type: ignore[no-untyped-call] # untyped there
    target_class = "accounts.api.authentication.ClientBasicAuthentication"
    name = "client"
    definition = {"type": "http", "scheme": "basic"}


class ApiKeyScheme(_Scheme):  # type: ignore[no-untyped-call] # untyped there
    target_class = "accounts.api.authentication.ApiKeyAuthentication"
    name = "apiKey"
    definition = {
        "type": "apiKey",
        "in": "header",
        "name": API_KEY_HEADER,
        "description": "A service client's key, or a person's, which only reads.",
    }
