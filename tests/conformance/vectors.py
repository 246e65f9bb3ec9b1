"""What every vector has, and how a file of them is written."""

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.unit.verifier.minting import AUDIENCE, ISSUER, NOW, b64, signature
from tests.unit.verifier.minting import SIGNING_KEYS as KEYS
from tests.unit.verifier.vectors import load

FOLDER = Path(__file__).parents[2] / "docs" / "vectors"
Vector = dict[str, Any]

COMMENT = (
    "Written by `python -m tests.conformance`; docs/token-format.md says what is to be checked."
    " Judge each vector at `now` with `jwks`; `code` is null where it is accepted. The keys are"
    " published test keys (each `d` is SHA-256 of 'published test key: ' and its name; RFC 6979"
    " signatures): worthless anywhere else."
)


def instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def at(seconds: int = 0, *, start: datetime = NOW) -> str:
    return instant(start + timedelta(seconds=seconds))


def vector(name: str, code: str | None, *, now: str = "", **members: Any) -> Vector:
    return {"name": name, "now": now or at(), **members, "code": code}


def raw(header: bytes, payload: bytes, *, key: str = "operation") -> str:
    """Sign these very bytes, whatever they are."""
    message = f"{b64(header)}.{b64(payload)}"
    return f"{message}.{b64(signature(KEYS[key], message.encode()))}"


def forged(token: str) -> Iterator[tuple[str, str]]:
    """Give `token`, signed with an EC key, with signatures that are none of it, by name."""
    message, _, own = token.rpartition(".")
    other = signature(KEYS["stranger"], message.encode())
    halves = base64.urlsafe_b64decode(own + "==")
    yield "signed with a stranger's key", f"{message}.{b64(other)}"
    yield "a signature of nothing", f"{message}.{b64(bytes(64))}"
    yield "a signature whose halves changed places", f"{message}.{b64(halves[32:] + halves[:32])}"
    yield "a signature in DER", f"{message}.{b64(_der(halves))}"


def _der(raw: bytes) -> bytes:
    numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return encode_dss_signature(*numbers)


def header(*, key: str = "operation", typ: str = "at+jwt", **changes: Any) -> dict[str, Any]:
    """Return a good header; a change to None removes the member."""
    good = {"alg": KEYS[key]["alg"], "kid": KEYS[key]["kid"], "typ": typ} | changes
    return {name: value for name, value in good.items() if value is not None}


def document(vectors: Iterable[Vector], **members: Any) -> dict[str, Any]:
    shared = {"comment": COMMENT, "issuer": ISSUER, "audience": AUDIENCE}
    keys = {"jwks": load("tokens")["jwks"], "signing_keys": KEYS}
    return {**shared, **members, **keys, "vectors": list(vectors)}


def as_text(document: dict[str, Any]) -> str:
    """Write one vector a line, so that a change shows as one."""
    head = {name: value for name, value in document.items() if name != "vectors"}
    shown = json.dumps(head, indent=1, ensure_ascii=True)[:-2]
    lines = ",\n".join("  " + json.dumps(one, ensure_ascii=True) for one in document["vectors"])
    return f'{shown},\n "vectors": [\n{lines}\n ]\n}}\n'
