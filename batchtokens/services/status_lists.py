"""Sign status lists: how offline verifiers learn of holds and cancels (Token Status List).

A list is read and signed anew every few seconds at most; its `iat` says when it was true, and from
there a verifier counts `ttl`.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.tokens.backend import sign
from batchtokens.errors import StatusListNotFound
from batchtokens.models import (
    STATUS_LIST_SIZE,
    OperationToken,
    PublishedStatus,
    StatusList,
    published_status,
)
from batchtokens.models.clock import database_now
from batchtokens.services.status_places import status_list_uri
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.jws import Purpose

BITS = 2
PER_BYTE = 8 // BITS
TTL = 300  # seconds after iat in which a verifier need not ask again
LIFETIME = 3600  # seconds after iat in which a verifier that cannot ask may still use the list
KEPT = 5.0  # seconds that a process answers with the same list
# An unchanged list keeps its entity tag so long, and then shows that it is still true.
RENEWED = 60
MOST_KEPT = 64


@dataclass(frozen=True)
class SignedList:
    """A status list token; `etag` is the same wherever the same list was signed."""

    token: str
    etag: str


@dataclass(frozen=True)
class _Kept:
    signed: SignedList
    at: float


_kept: OrderedDict[uuid.UUID, _Kept] = OrderedDict()
_lock = threading.Lock()  # one thread reads and signs, the others wait for what it has got


def forget_status_lists() -> None:
    """Drop the process's copies."""
    with _lock:
        _kept.clear()


def sign_status_list(*, public_id: str) -> SignedList:
    """Return the list with this `stl_` id as it is now, or was a few seconds ago.

    Raises StatusListNotFound.
    """
    try:
        key = parse_public_id(public_id, StatusList.public_prefix)
    except UnknownId as error:
        raise StatusListNotFound from error
    with _lock:
        kept, now = _kept.get(key), time.monotonic()
        if kept is None or now - kept.at >= KEPT:
            kept = _kept[key] = _Kept(_sign(key), now)
            _kept.move_to_end(key)
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
        return kept.signed


def _sign(key: uuid.UUID) -> SignedList:
    if not StatusList.objects.filter(pk=key).exists():
        raise StatusListNotFound
    # Before the rows are read: the list is at least as new as it says.
    now = int(database_now().timestamp())
    rows = OperationToken.objects.filter(status_list=key).annotate(published=published_status())
    stopped = rows.filter(published__gt=PublishedStatus.VALID)
    packed = pack(stopped.values_list("status_index", "published"))
    claims = {
        "iss": settings.ISSUER_URL,
        "sub": status_list_uri(key),
        "iat": now,
        "exp": now + LIFETIME,
        "ttl": TTL,
        "status_list": {"bits": BITS, "lst": b64url(zlib.compress(packed, 9))},
    }
    mark = hashlib.sha256(packed + f"{key}:{now // RENEWED}".encode()).digest()
    return SignedList(sign(claims, purpose=Purpose.STATUS).token, b64url(mark[:18]))


def pack(entries: Iterable[tuple[int | None, int]]) -> bytes:
    """Write (index, value) into the list, the first entry in the first byte's lowest bits."""
    packed = bytearray(STATUS_LIST_SIZE // PER_BYTE)
    for index, value in entries:
        if index is not None:
            place, within = divmod(index, PER_BYTE)
            packed[place] |= value << within * BITS
    return bytes(packed)
