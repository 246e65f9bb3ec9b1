"""Decides whether an operation token may be acted on, offline (DESIGN §3 step 1).

Offline is never enough to act: whether a slot is free, and whether the operation was held or
cancelled, only its redemption tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from batchtokens_verifier.canonical import check_operation, parameter_digest
from batchtokens_verifier.claims import (
    CLOCK_SKEW_SECONDS,
    AccessTokenClaims,
    OperationTokenClaims,
    check_times,
    parse_access_token,
    parse_operation_token,
)
from batchtokens_verifier.errors import (
    InvalidOperation,
    OperationMismatch,
    OperationTokenNotValid,
    OutsideValidity,
    TokenNotValid,
)
from batchtokens_verifier.jws import TOKEN_CLASSES, KeySet, Purpose, verify_jws


@dataclass(frozen=True, slots=True)
class ExecutorPolicy:
    """What one executor takes: whose tokens, for which audience, of which operation types.

    allow_secondly: also schedules finer than DAILY, for development.
    """

    issuer: str
    audience: str
    operation_types: frozenset[str]
    allow_secondly: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty policy, which would say yes to anything.

        Raises ValueError.
        """
        if not (self.issuer and self.audience and self.operation_types):
            raise ValueError("a policy names its issuer, its audience and its operation types")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A token that passed, and what that rests on: nothing here knows about consumption."""

    claims: OperationTokenClaims
    assurance: str = "signature, constraints"


def verify_operation_token(
    token: str,
    *,
    keys: KeySet,
    policy: ExecutorPolicy,
    now: datetime,
    operation: Mapping[str, object] | None = None,
) -> Verdict:
    """Verify `token` and, where given, that `operation` is the one that it carries.

    Act on `verdict.claims.operation` only, never on the copy, and only after redeeming.
    Raises OperationTokenNotValid, OperationMismatch or OutsideValidity, in this order.
    """
    claims = authenticate_operation_token(
        token,
        keys=keys,
        issuer=policy.issuer,
        audience=policy.audience,
        now=now,
        allow_secondly=policy.allow_secondly,
    )
    if claims.operation_type not in policy.operation_types:
        raise OperationTokenNotValid("operation type")
    if operation is not None:
        check_operation_copy(claims, operation)
    check_validity(claims, now, ahead=timedelta(seconds=CLOCK_SKEW_SECONDS))
    return Verdict(claims)


def authenticate_operation_token(
    token: str,
    *,
    keys: KeySet,
    issuer: str,
    audience: str,
    now: datetime | None,
    allow_secondly: bool = False,
) -> OperationTokenClaims:
    """Return the claims of a genuine operation token of `issuer` for `audience`, expired or not.

    now: None at the issuer itself, where the database's clock decides about every instant.
    Raises OperationTokenNotValid.
    """
    typ = TOKEN_CLASSES[Purpose.OPERATION]
    try:
        claims = verify_jws(token, keys=keys, purpose=Purpose.OPERATION, typ=typ)
        parsed = parse_operation_token(claims, allow_secondly=allow_secondly)
        _check_parties(parsed, issuer, audience)
    except TokenNotValid as refusal:
        raise OperationTokenNotValid(refusal.reason) from None
    if now is not None and parsed.iat > now.timestamp() + CLOCK_SKEW_SECONDS:
        raise OperationTokenNotValid("iat")
    return parsed


def authenticate_access_token(
    token: str, *, keys: KeySet, issuer: str, audience: str, now: datetime
) -> AccessTokenClaims:
    """Return the claims of a live access token of `issuer` for `audience`.

    An ended session shows only at the authority: introspect where that matters.
    Raises TokenNotValid.
    """
    typ = TOKEN_CLASSES[Purpose.ACCESS]
    claims = parse_access_token(verify_jws(token, keys=keys, purpose=Purpose.ACCESS, typ=typ))
    _check_parties(claims, issuer, audience)
    check_times(claims, now)
    return claims


def check_operation_copy(claims: OperationTokenClaims, operation: object) -> None:
    """Refuse a copy that is not, byte for byte in canonical form, the token's operation.

    Raises OperationMismatch, also for what is no operation at all.
    """
    try:
        copy = check_operation(operation)
    except InvalidOperation:
        raise OperationMismatch from None
    if parameter_digest(copy) != claims.parameter_digest:
        raise OperationMismatch


def check_validity(
    claims: OperationTokenClaims, at: datetime, *, ahead: timedelta = timedelta()
) -> None:
    """Refuse an instant outside of valid_from ≤ at < valid_to.

    ahead: how far valid_from may lie in the future, for a clock that is behind the authority's.
    Raises OutsideValidity.
    """
    if not claims.constraints.valid_from - ahead <= at < claims.constraints.valid_to:
        raise OutsideValidity


def _check_parties(
    claims: OperationTokenClaims | AccessTokenClaims, issuer: str, audience: str
) -> None:
    if claims.iss != issuer:
        raise TokenNotValid("iss")
    if claims.aud != audience:
        raise TokenNotValid("aud")
