"""Reads status list tokens (Token Status List, draft-ietf-oauth-status-list, sections 4 and 5).

A list says what the authority knew at `iat`; after `exp` it says nothing.
Wire format, append-only: an unknown claim is ignored.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from batchtokens_verifier.claims import CLOCK_SKEW_SECONDS
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import (
    TOKEN_CLASSES,
    KeySet,
    Purpose,
    decode_segment,
    verify_jws,
)

MAX_STATUS_TOKEN_BYTES = 524_288
MAX_LIST_BYTES = 2**20  # unpacked: 2^20 entries of the widest kind
MAX_LIFETIME_SECONDS = 3600
DEFAULT_TTL_SECONDS = 300


class Status(IntEnum):
    """Registered values (section 7.1); others are refused."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


@dataclass(frozen=True, slots=True)
class StatusList:
    """A verified list. iat, exp: seconds since the epoch; ttl: seconds."""

    uri: str
    iat: int
    exp: int
    ttl: int
    bits: int
    packed: bytes = field(repr=False)

    def value(self, idx: int) -> int:
        """Return entry `idx`; the first one is in the lowest bits of the first byte.

        Raises TokenNotValid where the list has no such entry.
        """
        place, shift = divmod(idx * self.bits, 8)
        if not 0 <= place < len(self.packed):
            raise TokenNotValid("status index")
        return self.packed[place] >> shift & ((1 << self.bits) - 1)

    def age(self, now: datetime) -> int:
        """Return how many seconds ago the list was true."""
        return max(0, int(now.timestamp()) - self.iat)

    def is_stale(self, now: datetime) -> bool:
        """Tell whether a newer list should be asked for."""
        return now.timestamp() >= self.iat + self.ttl

    def is_ahead(self, now: datetime) -> bool:
        """Tell whether the list is dated further ahead than clocks may differ."""
        return self.iat > now.timestamp() + CLOCK_SKEW_SECONDS

    def is_over(self, now: datetime) -> bool:
        """Tell whether the list says nothing any more."""
        return now.timestamp() >= self.exp


def verify_status_list(
    token: str, *, keys: KeySet, uri: str, now: datetime, issuer: str = ""
) -> StatusList:
    """Return the list that was fetched from `uri`.

    issuer: who must be named where the list names an issuer. Raises TokenNotValid.
    """
    claims = verify_jws(
        token,
        keys=keys,
        purpose=Purpose.STATUS,
        typ=TOKEN_CLASSES[Purpose.STATUS],
        max_bytes=MAX_STATUS_TOKEN_BYTES,
    )
    if claims.get("sub") != uri:  # section 5.1: the list is the one at this address
        raise TokenNotValid("status list sub")
    if "iss" in claims and issuer and claims["iss"] != issuer:
        raise TokenNotValid("status list iss")
    bits, packed = _unpacked(claims.get("status_list"))
    parsed = StatusList(
        uri=uri,
        iat=_seconds(claims, "iat"),
        exp=_seconds(claims, "exp"),
        ttl=_seconds(claims, "ttl") if "ttl" in claims else DEFAULT_TTL_SECONDS,
        bits=bits,
        packed=packed,
    )
    _check_times(parsed, now)
    return parsed


def _check_times(parsed: StatusList, now: datetime) -> None:
    if parsed.is_ahead(now):
        raise TokenNotValid("status list iat")
    if not parsed.iat < parsed.exp <= parsed.iat + MAX_LIFETIME_SECONDS:
        raise TokenNotValid("status list exp")
    if parsed.is_over(now):
        raise TokenNotValid("status list expired")
    if parsed.ttl < 1:
        raise TokenNotValid("status list ttl")


def _unpacked(status_list: object) -> tuple[int, bytes]:
    match status_list:
        case {"bits": int(bits), "lst": str(lst)} if bits in (1, 2, 4, 8) and bits is not True:
            return bits, _inflated(decode_segment(lst))
    raise TokenNotValid("status list members")


def _inflated(data: bytes) -> bytes:
    """Unpack ZLIB (RFC 1950), but never more than the largest list."""
    engine = zlib.decompressobj()
    try:
        packed = engine.decompress(data, MAX_LIST_BYTES + 1)
    except zlib.error:
        raise TokenNotValid("status list data") from None
    if len(packed) > MAX_LIST_BYTES:
        raise TokenNotValid("status list size")
    if not engine.eof or engine.unused_data:
        raise TokenNotValid("status list data")
    return packed


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise TokenNotValid(f"status list {name}")
    return value
