"""Verdicts name what they rest on; what a status list calls held or cancelled is refused."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from batchtokens_verifier.errors import ProblemError, StatusUnavailable
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.policy import ExecutorPolicy, Verdict, verify_operation_token
from batchtokens_verifier.status_cache import AsyncStatusListCache, StatusListCache
from batchtokens_verifier.status_list import StatusList, verify_status_list
from batchtokens_verifier.verifier import AsyncVerifier, Verifier
from tests.unit.verifier.authority import Clock
from tests.unit.verifier.minting import (
    AUDIENCE,
    ISSUER,
    KEYS,
    NOW,
    OPERATION,
    SIGNING_KEYS,
    consented,
    detail,
    mint,
    operation_claims,
)
from tests.unit.verifier.status_lists import URI, packed, status_token
from tests.unit.verifier.test_status_cache import JWKS_URI, Lists, answer

TYPES = frozenset({"savings.deposit"})
LAX = ExecutorPolicy(ISSUER, AUDIENCE, TYPES)
STRICT = ExecutorPolicy(ISSUER, AUDIENCE, TYPES, require_status=True)
IDX = 7


def token(**status: Any) -> str:
    reference = {"uri": URI, "idx": IDX} | status
    return mint(operation_claims(status={"status_list": reference}))


def status_list(value: int = 0, **changes: Any) -> StatusList:
    claims = {"status_list": {"bits": 2, "lst": packed({IDX: value})}} | changes
    text = status_token(**claims)
    return verify_status_list(text, keys=KEYS, uri=claims.get("sub", URI), now=NOW)


def verdict(text: str, policy: ExecutorPolicy = STRICT, **arguments: Any) -> Verdict:
    given: dict[str, Any] = {
        "keys": KEYS,
        "policy": policy,
        "now": NOW,
        "operation": OPERATION,
    } | arguments
    return verify_operation_token(text, **given)


@pytest.mark.parametrize("age", [0, 17, 3599])
def test_verdict_names_the_age_of_the_status(age: int) -> None:
    found = verdict(token(), status_list=status_list(), now=NOW + timedelta(seconds=age))

    assert found.assurance == f"signature, constraints, status of age {age}"
    assert found.status_age == age


@pytest.mark.parametrize("with_list", [True, False])
def test_no_offline_verdict_knows_about_consumption(with_list: bool) -> None:
    found = verdict(token(), LAX, status_list=status_list() if with_list else None)

    assert found.consumption == "unknown"
    assert "redeem" not in found.assurance


@pytest.mark.parametrize("policy", [LAX, STRICT])
@pytest.mark.parametrize(
    ("value", "code"),
    [(1, "operation_revoked"), (2, "operation_held"), (3, "operation_token_not_valid")],
)
def test_status_refuses(policy: ExecutorPolicy, value: int, code: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        verdict(token(), policy, status_list=status_list(value))

    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (token(), {}, "status_unavailable"),
        (token(), {"status_list": status_list(), "now": NOW + timedelta(hours=1)}, "over"),
        (token(), {"status_list": status_list(sub=f"{ISSUER}/another")}, "another's"),
        (mint(operation_claims()), {"status_list": status_list()}, "operation_token_not_valid"),
        (mint(operation_claims()), {}, "operation_token_not_valid"),
        (token(idx=64), {"status_list": status_list()}, "operation_token_not_valid"),
    ],
    ids=["no list", "list over", "another's list", "no claim", "neither", "index outside"],
)
def test_required_status_fails_closed(text: str, arguments: Any, code: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        verdict(text, **arguments)

    expected = code if "_" in code else "status_unavailable"
    assert refusal.value.code == expected


@pytest.mark.parametrize(
    "status",
    [
        "valid",
        {},
        [],
        {"status_list": []},
        {"status_list": {"uri": URI}},
        {"status_list": {"idx": 1}},
        {"status_list": {"uri": URI, "idx": -1}},
        {"status_list": {"uri": URI, "idx": "1"}},
        {"status_list": {"uri": URI, "idx": True}},
        {"status_list": {"uri": [URI], "idx": 1}},
    ],
)
def test_malformed_status_is_refused_even_where_none_is_needed(status: Any) -> None:
    with pytest.raises(ProblemError) as refusal:
        verdict(mint(operation_claims(status=status)), LAX)

    assert refusal.value.code == "operation_token_not_valid"


@pytest.mark.parametrize(
    "shown",
    [
        {"sub": "usr_bob"},
        {"client_id": "first-party"},
        {"aud": "https://other.example/"},
        {"authorization_details": [detail()]},
        {"authorization_details": [detail(identifier=None, redemption=None, max_total=None)]},
    ],
)
def test_consent_to_another_mandate_is_refused(shown: Any) -> None:
    with pytest.raises(ProblemError) as refusal:
        verdict(mint(consented(**shown)), LAX)

    assert refusal.value.code == "operation_token_not_valid"


@pytest.mark.parametrize(
    ("consent", "good"),
    [
        (consented()["consent"], True),
        (consented(mode="scope")["consent"], True),
        ({"mode": "exact", "id": "cns_a", "mandate_digest": f"sha-256:{'A' * 43}"}, False),
        ({"mode": "scope", "mandate_digest": f"sha-256:{'A' * 43}"}, False),
        ({"mode": "exact"}, True),
        ({"mode": "exact", "later": "x"}, True),
        ({"mode": "exact", "id": ""}, False),
        ({"mode": "exact", "id": 1}, False),
        ({"mode": "exact", "mandate_digest": "sha-256:short"}, False),
        ({"mode": "exact", "mandate_digest": None}, False),
    ],
)
def test_consent_may_name_what_was_confirmed(consent: Any, good: bool) -> None:
    text = mint(operation_claims(consent=consent))

    if good:
        claims = verdict(text, LAX).claims
        assert claims.consent_mode == claims.consent.mode == consent["mode"]
        assert claims.consent.id == consent.get("id")
        return
    with pytest.raises(ProblemError):
        verdict(text, LAX)


Verify = Callable[[str], Verdict]


@pytest.fixture(params=["threads", "event loop"])
def verifier(request: pytest.FixtureRequest) -> Callable[[Lists], Verify]:
    def threads(authority: Lists) -> Verify:
        http, clock = authority.http, Clock()
        keys = JwksCache(JWKS_URI, http=http, clock=clock)
        lists = StatusListCache(ISSUER, keys=keys, http=http, clock=clock)
        made = Verifier(STRICT, keys, lists)
        return lambda text: made.verify(text, now=NOW, operation=OPERATION)

    def event_loop(authority: Lists) -> Verify:
        http, clock = authority.async_http, Clock()
        keys = AsyncJwksCache(JWKS_URI, http=http, clock=clock)
        lists = AsyncStatusListCache(ISSUER, keys=keys, http=http, clock=clock)
        made = AsyncVerifier(STRICT, keys, lists)
        return lambda text: asyncio.run(made.verify(text, now=NOW, operation=OPERATION))

    return threads if request.param == "threads" else event_loop


def test_verifier_fetches_keys_and_list(verifier: Callable[[Lists], Verify]) -> None:
    at = int(NOW.timestamp())
    authority = Lists(answer(status_token(iat=at - 5, exp=at + 60)))

    assert verifier(authority)(token()).assurance == "signature, constraints, status of age 5"
    assert authority.asked == [URI]


def test_verifier_refuses_what_the_list_calls_held(verifier: Callable[[Lists], Verify]) -> None:
    held = status_token(status_list={"bits": 2, "lst": packed({IDX: 2})})

    with pytest.raises(ProblemError) as refusal:
        verifier(Lists(answer(held)))(token())

    assert refusal.value.code == "operation_held"


def test_nobody_elses_token_makes_it_ask(verifier: Callable[[Lists], Verify]) -> None:
    status = {"status_list": {"uri": f"{ISSUER}/internal", "idx": 1}}
    kid = SIGNING_KEYS["operation"]["kid"]
    forged = mint(operation_claims(status=status), key="stranger", kid=kid)
    authority = Lists(answer(status_token()))

    with pytest.raises(ProblemError):
        verifier(authority)(forged)

    assert authority.asked == []


def test_source_away_is_no_verdict(verifier: Callable[[Lists], Verify]) -> None:
    with pytest.raises(StatusUnavailable):
        verifier(Lists(httpx.ConnectError("away")))(token())


def test_policy_that_nothing_can_satisfy_is_an_error() -> None:
    keys = JwksCache(JWKS_URI, http=Lists(answer("")).http)
    async_keys = AsyncJwksCache(JWKS_URI, http=Lists(answer("")).async_http)

    with pytest.raises(ValueError, match="status"):
        Verifier(STRICT, keys)
    with pytest.raises(ValueError, match="status"):
        AsyncVerifier(STRICT, async_keys)
