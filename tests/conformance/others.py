"""Access tokens and receipts."""

import base64
from collections.abc import Iterator
from typing import Any

from batchtokens_verifier.claims import redemption_id, token_hash
from tests.conformance.vectors import Vector, at, forged, vector
from tests.unit.verifier.minting import (
    ISSUER,
    NOW,
    OPERATION,
    access_claims,
    digest_of,
    mint,
    operation_claims,
)

API = "https://gateway.example/"
CLIENT = "savings"
SECRET = f"whsec_{base64.b64encode(b'published test secret').decode()}"
TOKEN = token_hash("opt_AAECAwQFBgcICQoLDA0ODw")
AT = int(NOW.timestamp())


def access_tokens() -> Iterator[Vector]:
    """Judge for `audience`, the API's own."""

    def judged(name: str, code: str | None, text: str, now: str = "") -> Vector:
        return vector(name, code, now=now, token=text)

    def access(**changes: Any) -> str:
        return mint(access_claims(**changes), key="access")

    bad = "token_not_valid"
    yield judged("good", None, access())
    machine = access(sid=None, auth_time=None, acr=None, amr=None)
    yield judged("a machine's, without a session", None, machine)
    for seconds, code in ((-11, bad), (-10, None), (899, None), (900, bad), (901, bad)):
        yield judged(f"{seconds:+} s from its issue", code, access(), at(seconds))
    changes: dict[str, dict[str, Any]] = {
        "another audience": {"aud": "https://other.example/"},
        "two audiences": {"aud": [API, "https://other.example/"]},
        "another issuer": {"iss": "https://evil.example"},
        "a parameter_digest": {"parameter_digest": "sha-256:x"},
        "authorization_details": {"authorization_details": []},
        "amr is a string": {"amr": "pwd"},
        "exp is a boolean": {"exp": True},
        "no exp": {"exp": None},
        "no client_id": {"client_id": None},
    }
    for name, changed in changes.items():
        yield judged(name, bad, access(**changed))
    for key in ("operation", "refresh", "stranger"):
        yield judged(f"signed with the {key} key", bad, mint(access_claims(), key=key))
    yield judged("typ rt+jwt", bad, mint(access_claims(), key="access", typ="rt+jwt"))
    yield judged("typ JWT", bad, mint(access_claims(), key="access", typ="JWT"))
    yield judged("an operation token", bad, mint(operation_claims(aud=API)))
    for name, text in forged(access()):
        yield judged(name, bad, text)


def receipt(key: str = "receipt", typ: str = "receipt+jwt", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": CLIENT,
        "jti": redemption_id(TOKEN, "o0"),
        "iat": AT,
        "status": "reserved",
        "attempt": 1,
        "slot": "o0",
        "amount": {"amount": "50.00", "currency": "USD"},
        "parameter_digest": digest_of(OPERATION),
        "token": TOKEN,
        "seq": 1,
        "entry_hash": token_hash("entry"),
    } | changes
    return mint({n: v for n, v in claims.items() if v is not None}, key=key, typ=typ)


def receipts() -> Iterator[Vector]:
    """Judge for the client `audience`; receipts have no time of their own."""
    yield vector("good", None, token=receipt())
    yield vector("settled", None, token=receipt(status="settled", seq=2))
    yield vector("an unknown claim", None, token=receipt(later="x"))
    yield vector("with valid_until", None, token=receipt(valid_until=AT + 300))
    changes: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://evil.example"},
        "another client": {"aud": "another"},
        "a list of clients": {"aud": [CLIENT]},
        "a sub": {"sub": "usr_a"},
        "an exp": {"exp": AT + 60},
        "a scope": {"scope": "redeem"},
        "another slot than its jti": {"slot": "o1"},
        "another token than its jti": {"token": token_hash("another")},
        "a short token hash": {"token": "short"},
        "no entry_hash": {"entry_hash": None},
        "no amount": {"amount": None},
        "an amount as text": {"amount": "50.00"},
        "attempt is a boolean": {"attempt": True},
        "no seq": {"seq": None},
        "signed with the operation key": {"key": "operation"},
        "signed with the checkpoint key": {"key": "checkpoint"},
        "typ at+jwt": {"typ": "at+jwt"},
    }
    for name, changed in changes.items():
        yield vector(name, "token_not_valid", token=receipt(**changed))
    for name, text in forged(receipt()):
        yield vector(name, "token_not_valid", token=text)
