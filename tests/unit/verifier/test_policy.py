"""What an executor accepts, by the published tokens and by its policy."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from batchtokens_verifier.errors import OutsideValidity, TokenNotValid, VerificationError
from batchtokens_verifier.policy import (
    ExecutorPolicy,
    authenticate_access_token,
    authenticate_operation_token,
    check_validity,
    verify_operation_token,
)
from tests.unit.verifier.minting import (
    AUDIENCE,
    ISSUER,
    KEYS,
    NOW,
    OPERATION,
    access_claims,
    mint,
    operation_claims,
)
from tests.unit.verifier.vectors import load

DOCUMENT = load("tokens")
POLICY = ExecutorPolicy(
    DOCUMENT["issuer"], DOCUMENT["audience"], frozenset(DOCUMENT["operation_types"])
)
GATEWAY = "https://gateway.example/"


def verdict(vector: dict[str, Any]) -> str:
    try:
        verify_operation_token(
            vector["token"],
            keys=KEYS,
            policy=POLICY,
            now=datetime.fromisoformat(vector["now"]),
            operation=vector.get("operation"),
        )
    except VerificationError as refusal:
        return refusal.code
    return "ok"


def test_published_tokens_get_their_verdicts() -> None:
    expected = {vector["name"]: vector["code"] for vector in DOCUMENT["tokens"]}

    assert {vector["name"]: verdict(vector) for vector in DOCUMENT["tokens"]} == expected


def test_verdict_says_what_it_rests_on() -> None:
    verdict = verify_operation_token(
        mint(operation_claims()), keys=KEYS, policy=POLICY, now=NOW, operation=OPERATION
    )

    assert verdict.assurance == "signature, constraints"
    assert verdict.claims.operation == OPERATION


@pytest.mark.parametrize(
    ("issuer", "audience", "types"),
    [("", AUDIENCE, {"a"}), (ISSUER, "", {"a"}), (ISSUER, AUDIENCE, set())],
)
def test_empty_policy_is_an_error(issuer: str, audience: str, types: set[str]) -> None:
    with pytest.raises(ValueError, match="policy"):
        ExecutorPolicy(issuer, audience, frozenset(types))


def test_expired_token_is_still_authentic() -> None:
    late = datetime.fromisoformat("2028-01-01T00:00:00Z")

    claims = authenticate_operation_token(
        mint(operation_claims()), keys=KEYS, issuer=ISSUER, audience=AUDIENCE, now=late
    )

    with pytest.raises(OutsideValidity):
        check_validity(claims, late)


@pytest.mark.parametrize(("seconds", "accepted"), [(-11, False), (-10, True), (0, True)])
def test_a_clock_may_be_ten_seconds_behind(seconds: int, accepted: bool) -> None:
    claims = authenticate_operation_token(
        mint(operation_claims()), keys=KEYS, issuer=ISSUER, audience=AUDIENCE, now=NOW
    )
    at, ahead = claims.constraints.valid_from + timedelta(seconds=seconds), timedelta(seconds=10)

    if accepted:
        check_validity(claims, at, ahead=ahead)
        return
    with pytest.raises(OutsideValidity):
        check_validity(claims, at, ahead=ahead)


@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(-11, False), (-10, True), (0, True), (899, True), (900, False), (901, False)],
)
def test_access_token_lives_until_exp(seconds: int, accepted: bool) -> None:
    at = datetime.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo)
    token = mint(access_claims(), key="access")

    if accepted:
        authenticate_access_token(token, keys=KEYS, issuer=ISSUER, audience=GATEWAY, now=at)
        return
    with pytest.raises(TokenNotValid):
        authenticate_access_token(token, keys=KEYS, issuer=ISSUER, audience=GATEWAY, now=at)


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        (access_claims(aud="https://other.example/"), "access"),
        (access_claims(aud=[GATEWAY]), "access"),
        (access_claims(iss="https://evil.example"), "access"),
        (access_claims(parameter_digest="sha-256:x"), "access"),
        (access_claims(authorization_details=[]), "access"),
        (access_claims(amr="pwd"), "access"),
        (access_claims(exp=True), "access"),
        (access_claims(), "operation"),
        (operation_claims(aud=GATEWAY), "operation"),
    ],
)
def test_access_door_refuses_all_else(claims: dict[str, Any], key: str) -> None:
    with pytest.raises(TokenNotValid) as refusal:
        authenticate_access_token(
            mint(claims, key=key), keys=KEYS, issuer=ISSUER, audience=GATEWAY, now=NOW
        )

    assert refusal.value.code == "token_not_valid"


def test_client_credentials_token_has_no_session() -> None:
    claims = access_claims(sid=None, auth_time=None, acr=None, amr=None)

    parsed = authenticate_access_token(
        mint(claims, key="access"), keys=KEYS, issuer=ISSUER, audience=GATEWAY, now=NOW
    )

    assert (parsed.sid, parsed.auth_time, parsed.acr, parsed.amr) == (None, None, None, ())
