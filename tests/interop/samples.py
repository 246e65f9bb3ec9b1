"""Tokens of every class, from before and after a rotation, for verifiers that others wrote."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.tokens.backend import sign
from batchtokens_verifier.jws import TOKEN_CLASSES, Purpose
from tests import factories, mandates

AUDIENCE = "https://somebody.example/"
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Sample:
    """A token, and what its verifier must know."""

    purpose: Purpose
    token: str
    audience: str

    @property
    def typ(self) -> str:
        return TOKEN_CLASSES[self.purpose]


def old_and_new() -> list[Sample]:
    """Return two tokens a purpose, signed before and after its key was rotated."""
    ensure_signing_keys()
    world = mandates.savings()
    old = list(_one_of_each(world))
    rotate_signing_keys(overlap=timedelta())
    return old + list(_one_of_each(world))


def _one_of_each(world: mandates.Savings) -> Iterator[Sample]:
    pair = factories.session_family(world.alice)[1]
    issued = mandates.issue(world)
    yield Sample(Purpose.ACCESS, pair.access, settings.ISSUER_URL)
    yield Sample(Purpose.REFRESH, pair.refresh, f"{settings.ISSUER_URL}/oauth/token")
    yield Sample(Purpose.OPERATION, issued.token, mandates.EXECUTOR_AUDIENCE)
    for purpose in set(Purpose) - {Purpose.ACCESS, Purpose.REFRESH, Purpose.OPERATION}:
        yield signed(purpose)


def signed(purpose: Purpose = Purpose.ACCESS, **changes: Any) -> Sample:
    """Sign plain claims, some of them changed."""
    now = datetime.now(UTC)
    claims = {
        "iss": settings.ISSUER_URL,
        "aud": AUDIENCE,
        "sub": "usr_1",
        "iat": int(now.timestamp()),
        "exp": int((now + MINUTE).timestamp()),
    }
    return Sample(purpose, sign({**claims, **changes}, purpose=purpose).token, AUDIENCE)


def refused() -> dict[str, Sample]:
    """Return tokens with a good signature that no verifier may take."""
    ensure_signing_keys()
    ago = int((datetime.now(UTC) - MINUTE).timestamp())
    return {
        "audience": signed(aud="https://other.example/"),
        "issuer": signed(iss="https://other.example"),
        "expired": signed(exp=ago),
    }
