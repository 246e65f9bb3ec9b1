"""Looks into tokens, and forges them."""

import json
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key

from batchtokens_verifier.canonical import b64url, b64url_decode

CURVE = "P-256"


def header_of(token: str) -> dict[str, Any]:
    """Read a token's header without verifying anything."""
    return _read(token, 0)


def claims_of(token: str) -> dict[str, Any]:
    """Read a token's claims without verifying anything."""
    return _read(token, 1)


def _read(token: str, part: int) -> dict[str, Any]:
    value = json.loads(b64url_decode(token.split(".")[part]))
    assert isinstance(value, dict)
    return value


def assemble(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """Put a token together from parts that nobody signed."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(b64url(part) for part in parts)


def forge(header: Mapping[str, Any], claims: Mapping[str, Any], key: Key | None = None) -> str:
    """Sign a token with a key of the attacker's own."""
    key = key or ECKey.generate_key(CURVE)
    payload = json.dumps(claims).encode()
    return jws.serialize_compact(dict(header), payload, key, algorithms=[header["alg"]])
