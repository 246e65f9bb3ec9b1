"""Operation tokens with a status: what each list, at each age, lets an executor say."""

import zlib
from collections.abc import Iterator
from typing import Any

from tests.conformance.vectors import Vector, at, forged, header, raw, vector
from tests.unit.verifier.minting import ISSUER, NOW, b64, mint, operation_claims
from tests.unit.verifier.status_lists import URI, b64zip, packed, status_token

NOT_VALID = "operation_token_not_valid"
AWAY = "status_unavailable"
IDX = 7
AT = int(NOW.timestamp())
REQUIRED = {"require_status": True}


def token(uri: str = URI, idx: int = IDX) -> str:
    return mint(operation_claims(status={"status_list": {"uri": uri, "idx": idx}}))


def saying(value: int, *, bits: int = 2, **changes: Any) -> str:
    status_list = {"bits": bits, "lst": packed({IDX: value}, bits=bits)}
    return status_token(status_list=status_list, **changes)


def status_lists() -> Iterator[Vector]:
    """`status_list`: what `uri` answered; where there is none, nothing could be had."""
    yield from _values()
    yield from _ages()
    yield from _policies()
    yield from _forgeries()


def judged(name: str, code: str | None, text: str | None, **members: Any) -> Vector:
    members = {"token": token(), "policy": REQUIRED} | members
    if text is not None:
        members["status_list"] = text
    if code is None:
        members.setdefault("assurance", "signature, constraints, status of age 0")
    return vector(name, code, **members)


def _values() -> Iterator[Vector]:
    yield judged("VALID", None, saying(0))
    yield judged("INVALID", "operation_revoked", saying(1))
    yield judged("SUSPENDED", "operation_held", saying(2))
    yield judged("a value that nobody registered", NOT_VALID, saying(3))
    for bits in (1, 4, 8):
        yield judged(f"VALID, {bits} bits wide", None, saying(0, bits=bits))
        yield judged(f"INVALID, {bits} bits wide", "operation_revoked", saying(1, bits=bits))
    yield judged("another's entry is INVALID", None, _other(IDX - 1, 1))
    yield judged("another's entry is SUSPENDED", None, _other(IDX + 1, 2))
    yield judged("the last entry", "operation_revoked", _other(63, 1), token=token(idx=63))
    yield judged("after the last entry", NOT_VALID, saying(0), token=token(idx=64))
    yield judged("far after the last entry", NOT_VALID, saying(0), token=token(idx=2**40))


def _other(idx: int, value: int) -> str:
    return status_token(status_list={"bits": 2, "lst": packed({idx: value})})


def _ages() -> Iterator[Vector]:
    for age in (0, 1, 299, 300, 301, 3599):
        said = f"signature, constraints, status of age {age}"
        yield judged(f"{age} s old", None, saying(0), now=at(age), assurance=said)
    for age in (3600, 3601):
        yield judged(f"{age} s old, over", AWAY, saying(0), now=at(age))
    yield judged("dated 10 s ahead", None, saying(0, iat=AT + 10, exp=AT + 3610))
    yield judged("dated 11 s ahead", AWAY, saying(0, iat=AT + 11, exp=AT + 3611))
    yield judged("INVALID, 3599 s old", "operation_revoked", saying(1), now=at(3599))
    yield judged("good for more than an hour", AWAY, saying(0, exp=AT + 3601))
    yield judged("over before it began", AWAY, saying(0, exp=AT))
    yield judged("no ttl", None, saying(0, ttl=None))
    yield judged("a ttl of nothing", AWAY, saying(0, ttl=0))


def _policies() -> Iterator[Vector]:
    yield judged("no list to be had", AWAY, None)
    no_claim = mint(operation_claims())
    yield judged("no status in the token, one required", NOT_VALID, saying(0), token=no_claim)
    none = {"policy": {"require_status": False}}
    said = "signature, constraints"
    yield judged("no list, none required", None, None, assurance=said, **none)
    yield judged("no status, none required", None, None, token=no_claim, assurance=said, **none)
    yield judged("INVALID, none required", "operation_revoked", saying(1), **none)


def _forgeries() -> Iterator[Vector]:
    for key in ("operation", "access", "receipt", "checkpoint", "stranger"):
        yield judged(f"a list signed with the {key} key", AWAY, saying(0, key=key))
    for typ in ("JWT", "at+jwt", "application/statuslist+jwt"):
        yield judged(f"a list with typ {typ}", AWAY, saying(0, typ=typ))
    for name, text in forged(saying(0)):
        yield judged(f"a list: {name}", AWAY, text)
    yield judged("another list's sub", AWAY, saying(0, sub=f"{URI}x"))
    yield judged("a list without sub", AWAY, saying(0, sub=None))
    yield judged("another issuer's list", AWAY, saying(0, iss="https://evil.example"))
    yield judged("a list without iss", None, saying(0, iss=None))
    yield from _members()
    yield from _elsewhere()
    twice = raw(_head(), f'{{"sub":"{URI}","sub":"{URI}"}}'.encode(), key="status")
    yield judged("a list with a claim twice", AWAY, twice)
    yield judged(
        "a list from another origin of the same name",
        NOT_VALID,
        saying(0),
        token=token(uri=ISSUER.replace("https", "HTTPS").replace("id.", "id2.")),
    )


def _members() -> Iterator[Vector]:
    members: dict[str, Any] = {
        "3 bits wide": {"bits": 3, "lst": b64zip(bytes(16))},
        "bits is a boolean": {"bits": True, "lst": b64zip(bytes(16))},
        "no lst": {"bits": 2},
        "not ZLIB": {"bits": 2, "lst": b64(bytes(16))},
        "ZLIB cut short": {"bits": 2, "lst": b64(zlib.compress(bytes(range(64)))[:-4])},
        "bytes after the ZLIB": {"bits": 2, "lst": b64zip(bytes(16), more=b"\0")},
        "padded": {"bits": 2, "lst": b64zip(bytes(16)) + "=="},
        "larger than 2^20 bytes": {"bits": 8, "lst": b64zip(bytes(2**20 + 1))},
    }
    for name, status_list in members.items():
        yield judged(f"a list: {name}", AWAY, status_token(status_list=status_list))


def _elsewhere() -> Iterator[Vector]:
    elsewhere = (
        "https://evil.example/oauth/status/a",
        "http://id.example/oauth/status/a",
        "https://id.example:8443/oauth/status/a",
        "https://id.example@evil.example/a",
        "https://evil.example\\@id.example/a",
        "/oauth/status/a",
    )
    for uri in elsewhere:
        text = saying(0, sub=uri)
        yield judged(f"a list at {uri}", NOT_VALID, text, token=token(uri=uri))


def _head() -> bytes:
    text = str(header(key="status", typ="statuslist+jwt")).replace("'", '"')
    return text.encode()
