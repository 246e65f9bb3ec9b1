"""Decides about one request; knows no framework and answers RFC 9457 problem documents."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from batchtokens_verifier.claims import AccessTokenClaims
from batchtokens_verifier.deliveries import MAX_DELIVERY_BYTES, Delivery, verify_delivery
from batchtokens_verifier.errors import (
    BodyTooLarge,
    DeliveryNotValid,
    LengthRequired,
    ProblemError,
    ScopeMissing,
    TokenMissing,
    TokenNotValid,
)
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.jws import KeySet, unverified_kid
from batchtokens_verifier.policy import Verdict, authenticate_access_token
from batchtokens_verifier.verifier import AsyncVerifier, Verifier

# RFC 6750 §2.1: the scheme, one space, a b64token, which is never trimmed or repaired.
_BEARER = re.compile(r"(?i:bearer) ([A-Za-z0-9\-._~+/]+=*)")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
RETRY_AFTER_SECONDS = 5
ACCESS_KEY = "batchtokens.access_token"
DELIVERY_KEY = "batchtokens.delivery"

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class CheckedDelivery:
    """A delivery whose signature holds, and the verdict on its token, which it is about.

    Act on `verdict.claims.operation` only, and only after redeeming.
    """

    delivery: Delivery
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in the place of the application's. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def status_line(self) -> str:
        """Return status and phrase, as WSGI wants them."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def now_utc() -> datetime:
    """Return the present time, aware."""
    return datetime.now(UTC)


def problem_members(error: ProblemError) -> dict[str, Any]:
    """Return the members of the problem document (RFC 9457 §3.1) that `error` is."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": int(error.status),
        "code": error.code,
    }
    if error.detail:
        members["detail"] = error.detail
    return members | error.members()


def refuse(error: ProblemError) -> Refusal:
    """Turn `error` into its answer, with a challenge where one is due (RFC 6750 §3)."""
    body = json.dumps(problem_members(error)).encode()
    headers = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
    }
    if found := challenge(error):
        headers["www-authenticate"] = found
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return Refusal(int(error.status), headers, body)


def challenge(error: ProblemError) -> str:
    """Return the WWW-Authenticate header of a refused access token, else nothing."""
    if isinstance(error, TokenMissing):
        return "Bearer"
    if isinstance(error, ScopeMissing):
        return f'Bearer error="insufficient_scope", scope="{error.scope}"'
    # A delivery that is refused is no matter of bearer tokens.
    return 'Bearer error="invalid_token"' if type(error) is TokenNotValid else ""


def bearer_token(authorization: str | None) -> str:
    """Return the token of an Authorization header. Raises TokenMissing or TokenNotValid."""
    if not authorization or authorization[:6].lower() != "bearer":
        raise TokenMissing
    found = _BEARER.fullmatch(authorization)
    if not found:
        raise TokenNotValid("authorization header")
    return found[1]


@dataclass(frozen=True)
class AccessTokens:
    """What an API takes: access tokens (RFC 9068) of one issuer, for itself, with these scopes.

    A session that ended shows offline only when its token expires.
    """

    issuer: str
    audience: str
    keys: JwksCache
    scopes: frozenset[str] = frozenset()
    clock: Clock = now_utc

    def __post_init__(self) -> None:
        """Refuse an empty policy. Raises ValueError."""
        _check_policy(self.issuer, self.audience, self.scopes)

    def check(self, authorization: str | None) -> AccessTokenClaims:
        """Return the claims of the request's token. Raises the ProblemError of its refusal."""
        token = bearer_token(authorization)
        return judge_access(self, token, self.keys.keys(unverified_kid(token)))


@dataclass(frozen=True)
class AsyncAccessTokens:
    """The same for an event loop."""

    issuer: str
    audience: str
    keys: AsyncJwksCache
    scopes: frozenset[str] = frozenset()
    clock: Clock = now_utc

    def __post_init__(self) -> None:
        """Refuse an empty policy. Raises ValueError."""
        _check_policy(self.issuer, self.audience, self.scopes)

    async def check(self, authorization: str | None) -> AccessTokenClaims:
        """Return the claims as `AccessTokens.check` does."""
        token = bearer_token(authorization)
        return judge_access(self, token, await self.keys.keys(unverified_kid(token)))


def _check_policy(issuer: str, audience: str, scopes: frozenset[str]) -> None:
    if not (issuer and audience):
        raise ValueError("a policy names its issuer and its audience")
    if not all(_SCOPE_TOKEN.fullmatch(scope) for scope in scopes):
        raise ValueError("a scope is one token (RFC 6749 section 3.3)")


def judge_access(
    guard: AccessTokens | AsyncAccessTokens, token: str, keys: KeySet
) -> AccessTokenClaims:
    """Return the claims of a token that `guard` takes. Raises TokenNotValid or ScopeMissing."""
    claims = authenticate_access_token(
        token, keys=keys, issuer=guard.issuer, audience=guard.audience, now=guard.clock()
    )
    if not guard.scopes <= set(claims.scope.split(" ")):
        raise ScopeMissing(" ".join(sorted(guard.scopes)))
    return claims


@dataclass(frozen=True)
class Deliveries:
    """What an executor takes: its own worker's deliveries, signed within five minutes.

    secret: `whsec_…`. The verifier's policy decides about the token.
    """

    secret: str
    verifier: Verifier
    clock: Clock = now_utc

    def check(self, headers: Mapping[str, str], body: bytes) -> CheckedDelivery:
        """Return the delivery with its verdict. Raises the ProblemError of its refusal."""
        delivery = verify_delivery(headers, body, secret=self.secret)
        token, operation = delivery.operation_token, delivery.operation
        verdict = self.verifier.verify(token, now=self.clock(), operation=operation)
        delivery.check_operation(verdict.claims.operation_id)
        return CheckedDelivery(delivery, verdict)


@dataclass(frozen=True)
class AsyncDeliveries:
    """The same for an event loop."""

    secret: str
    verifier: AsyncVerifier
    clock: Clock = now_utc

    async def check(self, headers: Mapping[str, str], body: bytes) -> CheckedDelivery:
        """Return the delivery with its verdict, as `Deliveries.check` does."""
        delivery = verify_delivery(headers, body, secret=self.secret)
        token, operation = delivery.operation_token, delivery.operation
        verdict = await self.verifier.verify(token, now=self.clock(), operation=operation)
        delivery.check_operation(verdict.claims.operation_id)
        return CheckedDelivery(delivery, verdict)


def announced_length(value: str | None, *, chunked: bool) -> int:
    """Return how many bytes a delivery is announced to have, before any of them is read.

    Raises LengthRequired, BodyTooLarge or DeliveryNotValid.
    """
    if chunked or not value:
        raise LengthRequired
    if not value.isascii() or not value.isdecimal():
        raise DeliveryNotValid("The Content-Length is not a number of bytes.")
    if len(value) > 9 or int(value) > MAX_DELIVERY_BYTES:
        raise BodyTooLarge
    return int(value)
