"""A confirmation of a cancel proves one ledger entry, and nothing else passes for it."""

from typing import Any

import pytest

from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.receipts import Cancellation, verify_cancellation
from tests.unit.verifier.minting import ISSUER, KEYS, NOW, OPERATION, digest_of, mint

TOKEN = token_hash("opt_AAECAwQFBgcICQoLDA0ODw")


def confirmation(key: str = "receipt", typ: str = "receipt+jwt", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": "trigger",
        "jti": "op_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "iat": int(NOW.timestamp()),
        "status": "cancelled",
        "by": "user",
        "cancelled_at": "2026-03-01T09:00:00.000001Z",
        "parameter_digest": digest_of(OPERATION),
        "token": TOKEN,
        "seq": 2,
        "entry_hash": token_hash("entry"),
    } | changes
    present = {name: value for name, value in claims.items() if value is not ...}
    return mint(present, key=key, typ=typ)


def verified(text: str) -> Cancellation:
    return verify_cancellation(text, keys=KEYS, issuer=ISSUER, audience="trigger")


def test_names_the_operation_and_the_instant() -> None:
    said = verified(confirmation(later="x"))
    assert said.operation_id == "op_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"
    assert said.cancelled_at.isoformat() == "2026-03-01T09:00:00.000001+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "savings"},
        {"jti": "rdm_x"},
        {"status": "settled"},
        {"status": ...},
        {"slot": "o0"},
        {"sub": "usr_1"},
        {"exp": 1},
        {"by": ...},
        {"cancelled_at": "yesterday"},
        {"cancelled_at": 1},
        {"token": "short"},
        {"entry_hash": "short"},
        {"seq": True},
        {"key": "status"},
        {"typ": "at+jwt"},
    ],
    ids=str,
)
def test_refuses_what_is_no_confirmation(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenNotValid):
        verified(confirmation(**changes))
