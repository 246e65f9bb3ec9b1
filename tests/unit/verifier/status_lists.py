"""Mints status lists, good and bad, with the standard library and `cryptography` alone."""

import zlib
from typing import Any

from tests.unit.verifier.minting import ISSUER, NOW, b64, mint

URI = f"{ISSUER}/oauth/status/stl_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"


def b64zip(packed: bytes, *, more: bytes = b"") -> str:
    return b64(zlib.compress(packed, 9) + more)


def packed(statuses: dict[int, int], *, bits: int = 2, size: int = 64) -> str:
    """Return `lst` with these statuses by index, the others 0."""
    whole = sum(value << (bits * index) for index, value in statuses.items())
    return b64zip(whole.to_bytes(size * bits // 8, "little"))


def status_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good list; a change to None removes the claim."""
    now = int(NOW.timestamp())
    claims = {
        "iss": ISSUER,
        "sub": URI,
        "iat": now,
        "exp": now + 3600,
        "ttl": 300,
        "status_list": {"bits": 2, "lst": packed({})},
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def status_token(*, key: str = "status", typ: str = "statuslist+jwt", **changes: Any) -> str:
    return mint(status_claims(**changes), key=key, typ=typ)
