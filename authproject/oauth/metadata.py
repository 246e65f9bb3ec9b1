"""What clients and verifiers find out by themselves: endpoints and public keys."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.models import Acr
from accounts.scopes import SCOPES
from accounts.tokens.client_keys import ASSERTION_ALGORITHMS
from accounts.tokens.keyring import JWKS_MAX_AGE, current_key_ring
from authproject.oauth.clients import METHODS
from authproject.oauth.token import GRANTS
from batchtokens.services.operation_types.list_operation_types import operation_type_names

SIGNING_ALGORITHM = "ES256"
# A successor key is published for longer than this before it signs.
CACHED = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"}


@require_safe
def authorization_server(request: HttpRequest) -> JsonResponse:
    """Return the authorization server metadata (RFC 8414)."""
    document = {
        "issuer": settings.ISSUER_URL,
        "token_endpoint": _address("oauth-token"),
        "introspection_endpoint": _address("oauth-introspect"),
        "jwks_uri": _address("jwks"),
        "service_documentation": _address("docs"),
        "grant_types_supported": list(GRANTS),
        # Required by RFC 8414 section 2; nothing here redirects a browser.
        "response_types_supported": [],
        # Not the meta-scopes: each stands at its operation type, which tells who may ask for it.
        "scopes_supported": list(SCOPES),
        "token_endpoint_auth_methods_supported": ["none", *METHODS],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_signing_alg_values_supported": [SIGNING_ALGORITHM],  # RFC 9701 section 7
        "revocation_endpoint": _address("oauth-revoke"),
        "revocation_endpoint_auth_methods_supported": ["none", *METHODS],
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "authorization_details_types_supported": operation_type_names(),  # RFC 9396 section 10
        "acr_values_supported": list(Acr),  # RFC 9470 section 7
    }
    return JsonResponse(document, headers=CACHED)


@require_safe
def jwks(request: HttpRequest) -> JsonResponse:
    """Return all public keys (RFC 7517 section 5), upcoming and retired ones among them."""
    return JsonResponse(
        current_key_ring().jwks(), headers=CACHED, content_type="application/jwk-set+json"
    )


def _address(name: str) -> str:
    return f"{settings.ISSUER_URL}{reverse(name)}"
