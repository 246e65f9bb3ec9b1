"""`POST /oauth/token`: the grants on offer (RFC 6749 section 3.2).

There is no password grant (RFC 9700 section 2.4): people sign in at this product's own API.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.api.authentication import context_of
from accounts.api.headers import idempotency_key
from accounts.errors import InvalidTarget
from accounts.limits import REFRESH
from accounts.scopes import parse_scope
from accounts.services.issue_client_token import issue_client_token
from accounts.services.limit_tries import limit_tries
from accounts.services.refresh_session import refresh_session
from authproject.oauth.clients import sending_client, sending_client_id
from authproject.oauth.errors import RefreshTokenNotValid, UnsupportedGrantType
from authproject.oauth.exchange import token_exchange
from authproject.oauth.parameters import Parameters, read_form, required
from authproject.web.headers import NO_STORE
from batchtokens_verifier.errors import TokenNotValid

Grant = Callable[[HttpRequest, Parameters], dict[str, Any]]


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> JsonResponse:
    """Answer the grant that the form names."""
    form = read_form(request)
    grant = GRANTS.get(required(form, "grant_type"))
    if grant is None:
        raise UnsupportedGrantType
    return JsonResponse(grant(request, form), headers=NO_STORE)


def _client_credentials(request: HttpRequest, form: Parameters) -> dict[str, Any]:
    """Give the client a token of its own (RFC 6749 section 4.4); it opens only this service."""
    client = sending_client(request, form)
    if form.get("resource", settings.ISSUER_URL) != settings.ISSUER_URL:
        raise InvalidTarget
    issued = issue_client_token(client=client, asked=parse_scope(form.get("scope", "")))
    return {
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": issued.scope,
    }


def _refresh_token(request: HttpRequest, form: Parameters) -> dict[str, Any]:
    """Rotate a refresh token; `scope` narrows this access token alone (RFC 6749 section 6)."""
    limit_tries(REFRESH, context=context_of(request))
    client_id = sending_client_id(request, form)
    try:
        pair = refresh_session(
            token=required(form, "refresh_token"),
            client_id=client_id,
            scope=form.get("scope", ""),
            idempotency_key=idempotency_key(request),
            context=context_of(request),
        )
    except TokenNotValid as error:
        raise RefreshTokenNotValid from error
    return {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "token_type": pair.token_type,
        "expires_in": pair.expires_in,
        "scope": pair.scope,
    }


GRANTS: Mapping[str, Grant] = {
    "client_credentials": _client_credentials,
    "refresh_token": _refresh_token,
    "urn:ietf:params:oauth:grant-type:token-exchange": token_exchange,
}
