"""Sign status lists: how offline verifiers learn of holds and cancels (Token Status List).

A list is read and signed anew every few seconds at most; its `iat` says when it was true, and from
there a verifier counts `ttl`.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
import weakref
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
from batchtokens.services.status.status_places import status_list_uri
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
_lock = threading.Lock()  # of what is kept; never held while the database is asked
# One thread reads and signs a list, others wait for what it has got. A lock lives while it is used.
_signing: weakref.WeakValueDictionary[uuid.UUID, threading.Lock] = weakref.WeakValueDictionary()


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
        signing = _signing.setdefault(key, threading.Lock())
    with signing:
        now = time.monotonic()
        kept = _kept.get(key)
        if kept is None or now - kept.at >= KEPT:
            kept = _Kept(_sign(key), now)
            _keep(key, kept)
        return kept.signed


def _keep(key: uuid.UUID, kept: _Kept) -> None:
    with _lock:
        _kept[key] = kept
        _kept.move_to_end(key)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)


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
    signed = sign(claims, purpose=Purpose.STATUS)
    # The key, too: nobody is told to keep a list whose key was found out.
    mark = hashlib.sha256(packed + f"{key}:{signed.kid}:{now // RENEWED}".encode()).digest()
    return SignedList(signed.token, b64url(mark[:18]))


def pack(entries: Iterable[tuple[int | None, int]]) -> bytes:
    """Write (index, value) into the list, the first entry in the first byte's lowest bits."""
    packed = bytearray(STATUS_LIST_SIZE // PER_BYTE)
    for index, value in entries:
        if index is not None:
            place, within = divmod(index, PER_BYTE)
            packed[place] |= value << within * BITS
    return bytes(packed)
