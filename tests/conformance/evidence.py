"""Confirmations of a cancel, and signed answers of introspection (RFC 9701)."""

from collections.abc import Iterator
from typing import Any

from batchtokens_verifier.claims import token_hash
from tests.conformance.vectors import Vector, at, forged, vector
from tests.unit.verifier.minting import ISSUER, NOW, OPERATION, access_claims, digest_of, mint

TRIGGER = "trigger"
GATEWAY = "gateway"
AT = int(NOW.timestamp())
BAD = "token_not_valid"


def cancellation(*, key: str = "receipt", typ: str = "receipt+jwt", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": TRIGGER,
        "jti": "op_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "iat": AT,
        "status": "cancelled",
        "by": "user",
        "cancelled_at": "2026-12-01T08:00:00.000001Z",
        "parameter_digest": digest_of(OPERATION),
        "token": token_hash("opt_AAECAwQFBgcICQoLDA0ODw"),
        "seq": 2,
        "entry_hash": token_hash("entry"),
    } | changes
    return mint({n: v for n, v in claims.items() if v is not None}, key=key, typ=typ)


def cancellations() -> Iterator[Vector]:
    """Judge for the client `audience`; they have no time of their own."""
    yield vector("good", None, token=cancellation())
    yield vector("by staff", None, token=cancellation(by="staff"))
    yield vector("an unknown claim", None, token=cancellation(later="x"))
    changes: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://evil.example"},
        "another client": {"aud": "another"},
        "a list of clients": {"aud": [TRIGGER]},
        "status settled": {"status": "settled"},
        "no status": {"status": None},
        "a slot": {"slot": "o0"},
        "a sub": {"sub": "usr_a"},
        "an exp": {"exp": AT + 60},
        "a scope": {"scope": "savings.deposit"},
        "a redemption's jti": {"jti": "rdm_a"},
        "no by": {"by": None},
        "cancelled_at without a zone": {"cancelled_at": "2026-12-01T08:00:00.000001"},
        "cancelled_at is a number": {"cancelled_at": AT},
        "a short token hash": {"token": "short"},
        "no entry_hash": {"entry_hash": None},
        "seq is a boolean": {"seq": True},
        "signed with the operation key": {"key": "operation"},
        "signed with the introspection key": {"key": "introspection"},
        "typ at+jwt": {"typ": "at+jwt"},
    }
    for name, changed in changes.items():
        yield vector(name, BAD, token=cancellation(**changed))
    for name, text in forged(cancellation()):
        yield vector(name, BAD, token=text)


def answer(
    *, key: str = "introspection", typ: str = "token-introspection+jwt", **changes: Any
) -> str:
    told = {**access_claims(), "active": True, "token_type": "Bearer"}
    claims = {"iss": ISSUER, "aud": GATEWAY, "iat": AT, "token_introspection": told} | changes
    return mint({n: v for n, v in claims.items() if v is not None}, key=key, typ=typ)


def introspections() -> Iterator[Vector]:
    """Judge for the client `audience` at `now`."""
    yield vector("active", None, token=answer())
    yield vector("inactive", None, token=answer(token_introspection={"active": False}))
    yield vector("an unknown claim", None, token=answer(later="x"))
    yield vector("a year later", None, now=at(31_536_000), token=answer())
    for seconds, code in ((-11, BAD), (-10, None)):
        yield vector(f"{seconds:+} s from its issue", code, now=at(seconds), token=answer())
    changes: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://evil.example"},
        "another client": {"aud": "another"},
        "a list of clients": {"aud": [GATEWAY]},
        "no iat": {"iat": None},
        "iat is a boolean": {"iat": True},
        "a sub": {"sub": "usr_a"},
        "an exp": {"exp": AT + 60},
        "no token_introspection": {"token_introspection": None},
        "token_introspection is text": {"token_introspection": "{}"},
        "active is text": {"token_introspection": {"active": "true"}},
        "no active": {"token_introspection": {}},
        "signed with the access key": {"key": "access"},
        "signed with the receipt key": {"key": "receipt"},
        "typ at+jwt": {"typ": "at+jwt"},
        "typ JWT": {"typ": "JWT"},
    }
    for name, changed in changes.items():
        yield vector(name, BAD, token=answer(**changed))
    for name, text in forged(answer()):
        yield vector(name, BAD, token=text)
