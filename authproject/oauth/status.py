"""`GET /oauth/status/{stl_…}`: a status list (Token Status List, section 8.1).

Public: a list tells nothing to whoever has no token with a place in it.
"""

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from authproject.oauth.errors import NoEarlierStatusList, StatusListFormNotOffered
from batchtokens.services.status.status_lists import RENEWED, sign_status_list

MEDIA_TYPE = "application/statuslist+jwt"
# The time in a cache between us comes out of the verifier's `ttl`, which counts from `iat`.
CACHED = {
    "Cache-Control": f"public, max-age={RENEWED}",
    "Access-Control-Allow-Origin": "*",  # section 8.1: verifiers in browsers ask, too
}


@require_safe
def status_list(request: HttpRequest, public_id: str) -> HttpResponse:
    """Return the list, or 304 to who has it.

    Raises NoEarlierStatusList for one of another time (section 8.4): a list of today would be taken
    for it, and what was once held is nobody's to ask. Raises StatusListFormNotOffered.
    """
    if "time" in request.GET:
        raise NoEarlierStatusList
    if not request.accepts(MEDIA_TYPE):
        raise StatusListFormNotOffered
    signed = sign_status_list(public_id=public_id)
    # Weak: another process signs the same list with other bytes.
    etag = f'W/"{signed.etag}"'
    response = HttpResponse(
        signed.token,
        content_type=MEDIA_TYPE,
        headers={**CACHED, "ETag": etag},
    )
    return get_conditional_response(request, etag=etag, response=response) or response
