"""The sealed ledger for whoever checks on the authority: heads, consistency, inclusion (RFC 9162).

Heads and consistency are public, as they are useless unless everybody sees the same; what an entry
says is for the redemption's executor and trigger alone.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.views.decorators.http import require_safe

from accounts.errors import InvalidRequest
from authproject.oauth.clients import sending_client
from authproject.web.headers import NO_STORE
from batchtokens.services.ledger.prove import (
    InclusionProof,
    find_checkpoint,
    prove_consistency,
    prove_redemption,
)

# RFC 7519 section 10.3.1.
JWT = "application/jwt"
LATEST_FOR = "public, max-age=1"
FOR_EVER = "public, max-age=31536000, immutable"
_LARGEST = 2**62


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """Return the newest signed head, or with `size` that one."""
    size = _number(request, "size") if "size" in request.GET else None
    found = find_checkpoint(size=size)
    etag = f'"{found.size}-{found.root}"'
    headers = {"ETag": etag, "Cache-Control": LATEST_FOR if size is None else FOR_EVER}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(found.token, content_type=JWT, headers=headers)


@require_safe
def consistency(request: HttpRequest) -> JsonResponse:
    """Return the proof between two signed sizes."""
    first, second = _number(request, "first"), _number(request, "second")
    if not 0 < first <= second:
        raise InvalidRequest("first is between 1 and second.")
    proof = prove_consistency(first=first, second=second)
    body = {"first": first, "second": second, "proof": proof}
    return JsonResponse(body, headers={"Cache-Control": FOR_EVER})


@require_safe
def proof(request: HttpRequest, redemption_id: str) -> JsonResponse:
    """Return the proofs of a redemption's entries to its authenticated executor or trigger."""
    client = sending_client(request, {})
    proofs = prove_redemption(by=client, redemption_id=redemption_id)
    return JsonResponse({"proofs": [_shown(each) for each in proofs]}, headers=NO_STORE)


def _shown(proof: InclusionProof) -> dict[str, Any]:
    return {
        "entry": proof.entry,
        "leaf_index": proof.index,
        "tree_size": proof.checkpoint.size,
        "proof": proof.proof,
        "checkpoint": proof.checkpoint.token,
    }


def _number(request: HttpRequest, name: str) -> int:
    """Read a tree's size from the query. Raises InvalidRequest."""
    text = request.GET.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < _LARGEST):
        raise InvalidRequest(f"{name} is a tree's size.")
    return int(text)
