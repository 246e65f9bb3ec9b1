"""Authlib's validator of JWT access tokens (RFC 9068) takes ours during a rotation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc6750 import InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from batchtokens_verifier.jws import Purpose
from tests import factories, mandates
from tests.interop.samples import signed
from tests.tokens import claims_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class Validator(JWTBearerTokenValidator):  # type: ignore[misc] # authlib ships no types
    """A resource server as Authlib's documentation has it."""

    def get_jwks(self) -> Any:
        answer = httpx.get(f"{self.issuer}/.well-known/jwks.json", timeout=10)
        return KeySet.import_key_set(answer.json())


def validate(issuer: str, audience: str, token: str) -> None:
    """Raise what Authlib raises for a token that it does not take."""
    validator = Validator(issuer, audience)
    validator.validate_token(validator.authenticate_token(token), [], None)


@pytest.mark.spec("RFC 9068", "4")
def test_takes_old_and_new_access_and_operation_tokens(issuer: str) -> None:
    ensure_signing_keys()
    world = mandates.savings()

    def both() -> list[tuple[str, str]]:
        access = factories.access_token_for(world.alice)
        return [(issuer, access), (mandates.EXECUTOR_AUDIENCE, mandates.issue(world).token)]

    samples = both()
    rotate_signing_keys(overlap=timedelta(0))
    samples += both()
    rotate_signing_keys(overlap=timedelta(days=1))

    for audience, token in samples:
        validate(issuer, audience, token)


@pytest.mark.parametrize("reason", ["aud", "iss", "exp"])
def test_refuses_what_is_not_for_it(issuer: str, reason: str) -> None:
    ensure_signing_keys()
    claims = claims_of(factories.access_token_for(factories.alice()))
    ago = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    wrong = {"aud": "https://other.example/", "iss": "https://other.example", "exp": ago}
    changed = {**claims, reason: wrong[reason]}

    with pytest.raises(InvalidTokenError):
        validate(issuer, issuer, signed(**changed).token)


def test_refuses_another_class(issuer: str) -> None:
    ensure_signing_keys()
    claims = claims_of(factories.access_token_for(factories.alice()))

    with pytest.raises(InvalidTokenError):
        validate(issuer, issuer, signed(Purpose.RECEIPT, **claims).token)
