"""`POST /oauth/revoke`: a client gives back what was issued to it (RFC 7009).

Another client's token, an unknown one and one that is over are answered alike: 200, without effect
(docs/adr/0027).
"""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.api.authentication import context_of
from accounts.limits import REFRESH
from accounts.models import FIRST_PARTY, ServiceClient
from accounts.services.end_session import end_session_of_token
from accounts.services.limit_tries import limit_tries
from accounts.tokens.keyring import current_key_ring
from authproject.oauth.clients import sending_party
from authproject.oauth.errors import UnsupportedTokenType
from authproject.oauth.parameters import read_form, required
from authproject.web.headers import NO_STORE
from batchtokens.services.mandates.revoke_operation_token import revoke_operation_token
from batchtokens_verifier.jws import Purpose, unverified_kid


@csrf_exempt
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    """Answer an authenticated client, or the public one; `token_type_hint` is not needed."""
    form = read_form(request)
    limit_tries(REFRESH, context=context_of(request))
    client = sending_party(request, form)
    _revoke(required(form, "token"), client, request)
    return HttpResponse(headers=NO_STORE)


def _revoke(token: str, client: ServiceClient | None, request: HttpRequest) -> None:
    """Choose what to end by the key that the header names; behind it the token is checked."""
    kid = unverified_kid(token) or ""
    key = current_key_ring(wanted=kid).verification_keys().get(kid)
    match key.purpose if key else None:
        case Purpose.ACCESS:
            # Whoever's it is: the header alone decides, so this tells nothing.
            raise UnsupportedTokenType
        case Purpose.REFRESH:
            name = client.client_id if client else FIRST_PARTY
            end_session_of_token(token=token, client_id=name, context=context_of(request))
        case Purpose.OPERATION | None if client:  # None: also of a key that was found out
            revoke_operation_token(by=client, token=token)
