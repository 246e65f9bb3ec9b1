"""Receipts prove one used slot to the client that used it."""

from typing import Any

import pytest

from batchtokens_verifier.claims import redemption_id, token_hash
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.receipts import verify_receipt
from tests.unit.verifier.minting import ISSUER, KEYS, NOW, OPERATION, digest_of, mint

TOKEN = token_hash("opt_AAECAwQFBgcICQoLDA0ODw")


def receipt(key: str = "receipt", typ: str = "receipt+jwt", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": "savings",
        "jti": redemption_id(TOKEN, "o0"),
        "iat": int(NOW.timestamp()),
        "status": "reserved",
        "attempt": 1,
        "slot": "o0",
        "amount": {"amount": "50.00", "currency": "USD"},
        "parameter_digest": digest_of(OPERATION),
        "token": TOKEN,
        "seq": 1,
        "entry_hash": token_hash("entry"),
    } | changes
    present = {name: value for name, value in claims.items() if value is not ...}
    return mint(present, key=key, typ=typ)


def verified(text: str) -> Any:
    return verify_receipt(text, keys=KEYS, issuer=ISSUER, audience="savings")


def test_receipt_names_slot_and_amount() -> None:
    proof = verified(receipt(valid_until=int(NOW.timestamp()) + 300))

    assert proof.redemption_id == redemption_id(TOKEN, "o0")
    assert (proof.slot, proof.attempt, proof.amount) == ("o0", 1, Amount(5000, "USD"))


def test_later_claims_are_ignored() -> None:
    assert verified(receipt(later="x")).valid_until is None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["savings"]},
        {"sub": "usr_a"},
        {"exp": 1},
        {"scope": "redeem"},
        {"authorization_details": []},
        {"slot": "o1"},
        {"jti": "rdm_x"},
        {"token": token_hash("another")},
        {"token": "short"},
        {"entry_hash": ...},
        {"entry_hash": "short"},
        {"amount": "50.00"},
        {"amount": ...},
        {"attempt": True},
        {"attempt": "1"},
        {"seq": ...},
        {"valid_until": "later"},
        {"key": "operation"},
        {"key": "access"},
        {"typ": "at+jwt"},
    ],
)
def test_other_receipts_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenNotValid):
        verified(receipt(**changes))
