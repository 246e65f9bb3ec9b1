"""Names that are derived from claims, and what a parsed token keeps."""

import base64
import hashlib

import pytest

from batchtokens_verifier.claims import parse_operation_token, redemption_id, token_hash
from batchtokens_verifier.errors import OperationTokenNotValid
from tests.unit.verifier.minting import detail, operation_claims


def sha256(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_token_is_known_by_the_hash_of_its_jti() -> None:
    claims = parse_operation_token(operation_claims())

    assert claims.token_hash == token_hash(claims.jti) == sha256("opt_AAECAwQFBgcICQoLDA0ODw")


def test_redemption_is_named_by_token_and_slot() -> None:
    name = token_hash("opt_AAECAwQFBgcICQoLDA0ODw")

    assert redemption_id(name, "o3") == f"rdm_{sha256(f'{name}|o3')}"


def test_parsed_token_keeps_what_was_signed() -> None:
    claims = operation_claims(later="x")

    parsed = parse_operation_token(claims)

    assert parsed.raw == claims
    assert parsed.act == parsed.client_id == "trigger"
    assert parsed.operation_id == claims["authorization_details"][0]["identifier"]
    assert parsed.redemption_uri == "https://id.example/api/v1/redemptions"


def test_schedule_in_seconds_needs_leave() -> None:
    rule = "FREQ=SECONDLY;INTERVAL=3;COUNT=12"
    claims = operation_claims(authorization_details=[detail(schedule=rule)])

    assert parse_operation_token(claims, allow_secondly=True).constraints.schedule == rule
    with pytest.raises(OperationTokenNotValid) as refusal:
        parse_operation_token(claims)
    assert refusal.value.reason == "constraints/schedule"
