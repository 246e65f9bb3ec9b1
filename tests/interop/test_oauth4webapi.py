"""npm's oauth4webapi finds our metadata, takes our access tokens and asks about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from batchtokens_verifier.jws import Purpose
from tests import factories, mandates
from tests.interop.samples import Sample, signed
from tests.interop.test_jose import run
from tests.tokens import claims_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
NOBODY = {"client_id": "nobody", "client_secret": "unused"}


def ask(scripts: Path, issuer: str, **asked: Any) -> dict[str, Any]:
    text = json.dumps({"issuer": issuer, **NOBODY, **asked})
    answer: dict[str, Any] = json.loads(run(["node", "oauth.mjs"], scripts, text=text))
    return answer


def verdicts(scripts: Path, issuer: str, samples: Sequence[Sample]) -> list[str]:
    asked = [{"token": sample.token, "audience": sample.audience} for sample in samples]
    return list(ask(scripts, issuer, samples=asked)["verdicts"])


def resigned(sample: Sample, purpose: Purpose = Purpose.ACCESS, **changes: Any) -> Sample:
    """Sign the token's claims again, some of them changed, for the same audience."""
    claims = {**claims_of(sample.token), **changes}
    return Sample(purpose, signed(purpose, **claims).token, sample.audience)


@pytest.fixture
def access(issuer: str) -> Sample:
    ensure_signing_keys()
    token = factories.access_token_for(factories.alice())
    return Sample(Purpose.ACCESS, token, issuer)


def test_discovers_the_keys(scripts: Path, issuer: str, jwks_uri: str) -> None:
    assert ask(scripts, issuer)["jwks_uri"] == jwks_uri


@pytest.mark.spec("RFC 9068", "4")
def test_takes_old_and_new_access_and_operation_tokens(scripts: Path, issuer: str) -> None:
    ensure_signing_keys()
    world = mandates.savings()

    def both() -> list[Sample]:
        return [
            Sample(Purpose.ACCESS, factories.access_token_for(world.alice), issuer),
            Sample(Purpose.OPERATION, mandates.issue(world).token, mandates.EXECUTOR_AUDIENCE),
        ]

    samples = both()
    rotate_signing_keys(overlap=timedelta(0))
    samples += both()
    rotate_signing_keys(overlap=timedelta(days=1))

    assert verdicts(scripts, issuer, samples) == ["verified"] * 4


def test_refuses_what_is_not_for_it(scripts: Path, issuer: str, access: Sample) -> None:
    ago = int((datetime.now(UTC) - timedelta(minutes=2)).timestamp())
    samples = [
        resigned(access, aud="https://other.example/"),
        resigned(access, iss="https://other.example"),
        resigned(access, exp=ago),
        resigned(access, Purpose.RECEIPT),
        Sample(Purpose.ACCESS, access.token[:-8] + "AAAAAAAA", issuer),
    ]

    answers = verdicts(scripts, issuer, samples)

    assert "verified" not in answers
    assert answers[:3] == ["aud", "iss", "exp"]


@pytest.mark.spec("RFC 9701", "5")
@pytest.mark.parametrize("as_jwt", [False, True])
def test_asks_about_tokens(scripts: Path, issuer: str, access: Sample, as_jwt: bool) -> None:
    gateway = factories.service_client("gateway", scopes=["introspect"])
    asked = [access.token, access.token[:-8] + "AAAAAAAA"]

    active, inactive = ask(
        scripts,
        issuer,
        client_id=gateway.client.client_id,
        client_secret=gateway.secret,
        introspect=asked,
        signed=as_jwt,
    )["answers"]

    assert (active["active"], active["sub"]) == (True, claims_of(access.token)["sub"])
    assert inactive == {"active": False}
