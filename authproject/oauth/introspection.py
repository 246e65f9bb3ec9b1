"""`POST /oauth/introspect`: is this token active, for the client that asks (RFC 7662, RFC 9701)?

Whatever the asker may not know is inactive, so that no answer reveals a token's existence.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.models import ServiceClient
from accounts.scopes import INTROSPECT, format_scope
from accounts.services.verify_access_token import ANY_AUDIENCE, verify_access_token
from accounts.tokens.backend import sign, verify_token
from accounts.tokens.keyring import current_key_ring
from authproject.oauth.clients import sending_client
from authproject.oauth.parameters import read_form, required
from authproject.web.headers import NO_STORE
from batchtokens.services.mandates.introspect import INACTIVE, introspect_operation_token
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import Purpose, unverified_kid

# RFC 9701 section 4; who accepts both gets JSON, which is shorter.
SIGNED = "application/token-introspection+jwt"
_FORMS = ["application/json", SIGNED]


@csrf_exempt
@require_POST
def introspect(request: HttpRequest) -> HttpResponse:
    """Answer an authenticated client, with a signature if it asks for one."""
    form = read_form(request)
    client = sending_client(request, form)
    answer = _introspect(required(form, "token"), by=client)
    if request.get_preferred_type(_FORMS) == SIGNED:
        return HttpResponse(_signed(answer, client), content_type=SIGNED, headers=NO_STORE)
    return JsonResponse(answer, headers=NO_STORE)


def _signed(answer: dict[str, Any], client: ServiceClient) -> str:
    """Write the answer as a JWT (RFC 9701 section 5).

    It has no sub and no exp at its top, and a `typ` and key of its own: evidence, which no door
    takes for a credential.
    """
    claims = {
        "iss": settings.ISSUER_URL,
        "aud": client.client_id,
        "iat": int(timezone.now().timestamp()),
        "token_introspection": answer,
    }
    return sign(claims, purpose=Purpose.INTROSPECTION).token


def _introspect(token: str, *, by: ServiceClient) -> dict[str, Any]:
    """Choose the door by the key that the header names; behind it the token is verified."""
    kid = unverified_kid(token) or ""
    key = current_key_ring(wanted=kid).verification_keys().get(kid)
    match key.purpose if key else None:
        case Purpose.OPERATION:
            return introspect_operation_token(by=by, token=token)
        case Purpose.ACCESS if INTROSPECT in by.granted_scopes:
            return _introspect_access_token(token)
    return INACTIVE


def _introspect_access_token(token: str) -> dict[str, Any]:
    """Return the claims, with the scope that is left of theirs. One statement."""
    try:
        grant = verify_access_token(token, audience=ANY_AUDIENCE)
        claims = verify_token(token, purpose=Purpose.ACCESS)
    except TokenNotValid:
        return INACTIVE
    return {
        **claims,
        "active": True,
        "token_type": "Bearer",
        "scope": format_scope(grant.scope),
    }
