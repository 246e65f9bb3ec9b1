"""Deliveries: signed by the worker, recent, whole, and of the run that their id names."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from tests.conformance.vectors import Vector, at, vector
from tests.unit.verifier.minting import (
    NOW,
    OPERATION,
    OPERATION_ID,
    detail,
    mint,
    operation_claims,
)

SECRET = f"whsec_{base64.b64encode(b'published test secret').decode()}"
AT = int(NOW.timestamp())
BAD = "delivery_not_valid"
ANOTHER = f"op_{'0' * 32}.o0"


def deliveries() -> Iterator[Vector]:
    """`headers` and `body` (text, UTF-8) as received; judge with `secret`, then the token in it."""
    yield _judged("good", None)
    yield _judged("an unknown member", None, _body(later="x"))
    yield _judged("a later attempt", None, _body(attempt=7))
    for seconds, code in ((-301, BAD), (-300, None), (300, None), (301, BAD)):
        yield _judged(f"{seconds:+} s from its timestamp", code, now=seconds)
    yield _judged("another secret", BAD, secret=b"another")
    yield _judged("a changed body", BAD, sent=_body().replace("50.00", "99.00"))
    yield from _ids()
    yield from _bodies()
    yield from _headers()


def _ids() -> Iterator[Vector]:
    yield _judged("another id", BAD, signed_id=ANOTHER)
    yield _judged("an id of another occurrence", BAD, webhook_id=f"{OPERATION_ID}.o1")
    yield _judged("an id of another operation, signed", BAD, webhook_id=ANOTHER)
    yield _judged("an id that only ends like the right one", BAD, webhook_id=f"x{OPERATION_ID}.o0")
    yield _judged("an id of two occurrences", BAD, webhook_id=f"{OPERATION_ID}.o1.o0")


def _bodies() -> Iterator[Vector]:
    yield _judged("occurrence changed and signed", BAD, _body(occurrence="o1"))
    yield _judged("attempt is a boolean", BAD, _body(attempt=True))
    yield _judged("attempt is a fraction", BAD, _body(attempt=1.0))
    yield _judged("no operation", BAD, _body(operation=None))
    yield _judged("a list", BAD, f"[{_body()}]")
    yield _judged("a member twice", BAD, _body()[:-1] + ',"attempt":2}')
    yield _judged("no JSON", BAD, "deposit=50")
    edited = _body(operation=OPERATION | {"creditor_account": "sav-6666"})
    yield _judged("an edited copy", "operation_mismatch", edited)
    yield _judged(
        "an edited copy under another id", "operation_mismatch", edited, webhook_id=ANOTHER
    )
    forged = _body(operation_token=_token(key="stranger"))
    yield _judged("a token of nobody's", "operation_token_not_valid", forged)


def _headers() -> Iterator[Vector]:
    body = _body()
    signed = _signed(body)
    for name in signed:
        left = {other: value for other, value in signed.items() if other != name}
        yield vector(f"no {name}", BAD, headers=left, body=body)
    prefixed = signed | {"webhook-signature": signed["webhook-signature"].replace("v1,", "v2,")}
    yield vector("a signature of an unknown version", BAD, headers=prefixed, body=body)


def _judged(
    name: str, code: str | None, body: str = "", *, sent: str = "", now: int = 0, **changes: Any
) -> Vector:
    text = body or _body()
    return vector(name, code, now=at(now), headers=_signed(text, **changes), body=sent or text)


def _body(**changes: Any) -> str:
    members = {"operation": OPERATION, "occurrence": "o0", "attempt": 1}
    return json.dumps({"operation_token": _token()} | members | changes)


def _token(key: str = "operation") -> str:
    """Return a token that is valid at each vector's time."""
    begun = {"iat": AT - 600, "nbf": AT - 600}
    details = [detail(valid_from=at(-600))]
    return mint(operation_claims(**begun, authorization_details=details), key=key)


def _signed(
    text: str,
    *,
    secret: bytes = b"published test secret",
    webhook_id: str = f"{OPERATION_ID}.o0",
    signed_id: str = "",
) -> dict[str, str]:
    message = f"{signed_id or webhook_id}.{AT}.{text}".encode()
    mac = base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(AT),
        "webhook-signature": f"v1,{mac}",
    }
