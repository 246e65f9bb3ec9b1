"""nginx (auth_jwt) and Envoy (jwt_authn) let our operation tokens through, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer

from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.tokens.backend import sign
from accounts.tokens.keyring import current_key_ring
from batchtokens_verifier.jws import Purpose
from tests import factories, mandates
from tests.interop.gateways import ENVOY, NGINX, Gateway, running_gateway
from tests.tokens import claims_of, header_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
BOTH = pytest.mark.parametrize("gateway", [NGINX, ENVOY], ids=lambda gateway: gateway.name)
REFUSED = {401, 403}


@pytest.fixture
def issuer(live_server: LiveServer, settings: Any) -> str:
    """Serve under an address of numbers, as the files have it."""
    settings.ISSUER_URL = live_server.url.replace("localhost", "127.0.0.1")
    return str(settings.ISSUER_URL)


def ask(url: str, token: str) -> httpx.Response:
    return httpx.get(f"{url}/deposits", headers=factories.bearer(token), timeout=10)


def resigned(token: str, purpose: Purpose = Purpose.OPERATION, **changes: Any) -> str:
    """Sign the token's claims again, some of them changed, with a good key."""
    return sign({**claims_of(token), **changes}, purpose=purpose).token


def rotated(world: mandates.Savings) -> list[str]:
    """Return tokens of a retired and of the present key; a third key is published already."""
    old = mandates.issue(world).token
    rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.OPERATION])
    new = mandates.issue(world).token
    rotate_signing_keys(overlap=timedelta(days=1), purposes=[Purpose.OPERATION])
    assert header_of(old)["kid"] != header_of(new)["kid"]
    published = [key["purpose"] for key in current_key_ring().jwks()["keys"]]
    assert published.count("operation") == 3
    return [old, new]


def refusals(world: mandates.Savings) -> dict[str, str]:
    """Return what neither may let through, although each has a good signature."""
    token = mandates.issue(world).token
    ago = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    access = factories.access_token_for(world.alice, audience=mandates.EXECUTOR_AUDIENCE)
    return {
        "audience": resigned(token, aud="https://other.example/"),
        "issuer": resigned(token, iss="https://other.example"),
        "expired": resigned(token, exp=ago),
        "an access token": access,
        "another class": resigned(token, Purpose.RECEIPT),
        "a refresh token": resigned(token, Purpose.REFRESH),
        "edited": token[:-8] + "AAAAAAAA",
    }


@BOTH
def test_lets_through_what_is_for_the_executor_alone(
    gateway: Gateway, issuer: str, tmp_path: Path
) -> None:
    ensure_signing_keys()
    world = mandates.savings()
    good, bad = rotated(world), refusals(world)

    with running_gateway(gateway, issuer=issuer, folder=tmp_path) as url:
        answers = [ask(url, token) for token in good]
        refused = {name: ask(url, token).status_code for name, token in bad.items()}
        without = httpx.get(url, timeout=10).status_code

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.text for answer in answers] == [f"Bearer {token}" for token in good]
    assert {name for name, code in refused.items() if code not in REFUSED} == set(), refused
    assert without == 401


@BOTH
def test_refuses_what_a_compromised_key_signed(
    gateway: Gateway, issuer: str, tmp_path: Path
) -> None:
    ensure_signing_keys()
    world = mandates.savings()
    issued = mandates.issue(world)
    retire_signing_key(kid=issued.row.kid, reason="drill", compromised=True)
    after = mandates.issue(world).token

    with running_gateway(gateway, issuer=issuer, folder=tmp_path) as url:
        assert ask(url, issued.token).status_code in REFUSED
        assert ask(url, after).status_code == 200
