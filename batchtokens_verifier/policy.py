"""Decides whether an operation token may be acted on, offline (I3, I9).

Offline is never enough to act: whether a slot is free, and whether the operation was held or
cancelled since its status list was made, only its redemption tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from batchtokens_verifier.canonical import canonical_operation, digest
from batchtokens_verifier.claims import (
    CLOCK_SKEW_SECONDS,
    AccessTokenClaims,
    OperationTokenClaims,
    check_times,
    parse_access_token,
    parse_operation_token,
)
from batchtokens_verifier.constraints import Constraints
from batchtokens_verifier.errors import (
    InvalidOperation,
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OperationTokenNotValid,
    OutsideValidity,
    StatusUnavailable,
    TokenNotValid,
)
from batchtokens_verifier.jws import TOKEN_CLASSES, KeySet, Purpose, verify_jws
from batchtokens_verifier.status_list import Status, StatusList


@dataclass(frozen=True, slots=True)
class ExecutorPolicy:
    """What one executor takes: whose tokens, for which audience, of which operation types.

    allow_secondly: also schedules finer than DAILY, for development. require_status: a token whose
    status is not known is refused; else a list is used only where one is given.
    """

    issuer: str
    audience: str
    operation_types: frozenset[str]
    allow_secondly: bool = False
    require_status: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty policy, which would say yes to anything.

        Raises ValueError.
        """
        if not (self.issuer and self.audience and self.operation_types):
            raise ValueError("a policy names its issuer, its audience and its operation types")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A token that passed, and what that rests on. status_age: seconds, None without a list."""

    claims: OperationTokenClaims
    status_age: int | None = None

    @property
    def assurance(self) -> str:
        """Return what was checked, in words."""
        if self.status_age is None:
            return "signature, constraints"
        return f"signature, constraints, status of age {self.status_age}"

    @property
    def consumption(self) -> str:
        """Return what is known of used slots: offline, never anything."""
        return "unknown"


def verify_operation_token(
    token: str,
    *,
    keys: KeySet,
    policy: ExecutorPolicy,
    now: datetime,
    operation: Mapping[str, object] | None = None,
    status_list: StatusList | None = None,
) -> Verdict:
    """Verify `token` and, where given, that `operation` is the one that it carries.

    status_list: the one that the token's claims name, verified.
    Act on `verdict.claims.operation` only, never on the copy, and only after redeeming.
    Raises OperationTokenNotValid, OperationMismatch, OutsideValidity, then `check_status`'s.
    """
    claims = verify_without_status(token, keys=keys, policy=policy, now=now, operation=operation)
    return judge_status(claims, policy=policy, now=now, status_list=status_list)


def verify_without_status(
    token: str,
    *,
    keys: KeySet,
    policy: ExecutorPolicy,
    now: datetime,
    operation: Mapping[str, object] | None = None,
) -> OperationTokenClaims:
    """Do all of `verify_operation_token` that needs no list: its claims say which list to get.

    These claims are no verdict: `judge_status` gives that.
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
    if policy.require_status and claims.status is None:
        raise OperationTokenNotValid("no status")
    return claims


def judge_status(
    claims: OperationTokenClaims,
    *,
    policy: ExecutorPolicy,
    now: datetime,
    status_list: StatusList | None,
) -> Verdict:
    """Return the verdict on claims of `verify_without_status`.

    Raises as `check_status` does, and StatusUnavailable where the policy needs a list.
    """
    if status_list is None:
        if policy.require_status:
            raise StatusUnavailable
        return Verdict(claims)
    check_status(claims, status_list, now)
    return Verdict(claims, status_age=status_list.age(now))


def check_status(claims: OperationTokenClaims, status_list: StatusList, now: datetime) -> None:
    """Refuse what the list calls held or cancelled.

    INVALID may also be a hold, where the operation's type does not tell holds apart.
    Raises OperationHeld, OperationRevoked, StatusUnavailable for a list that is over or another's,
    OperationTokenNotValid for an index or a value that does not exist.
    """
    if claims.status is None:
        raise OperationTokenNotValid("no status")
    if status_list.uri != claims.status.uri or status_list.is_over(now):
        raise StatusUnavailable
    try:
        value = status_list.value(claims.status.idx)
    except TokenNotValid as refusal:
        raise OperationTokenNotValid(refusal.reason) from None
    if value == Status.SUSPENDED:
        raise OperationHeld
    if value == Status.INVALID:
        raise OperationRevoked
    if value != Status.VALID:
        raise OperationTokenNotValid("status value")


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
    if _is_same(operation, claims.operation):  # member by member: the digest could say no more
        return
    try:
        _, copy = canonical_operation(operation)
    except InvalidOperation:
        raise OperationMismatch from None
    if digest(copy) != claims.parameter_digest:
        raise OperationMismatch


def _is_same(copy: object, signed: object) -> bool:
    """Say whether a copy is, type by type, what was signed; a bool is no number here."""
    if type(copy) is not type(signed):
        return False
    if isinstance(copy, dict) and isinstance(signed, dict):
        return copy.keys() == signed.keys() and all(
            _is_same(copy[name], member) for name, member in signed.items()
        )
    if isinstance(copy, list) and isinstance(signed, list):
        return len(copy) == len(signed) and all(map(_is_same, copy, signed))
    return copy == signed


def check_validity(
    claims: OperationTokenClaims, at: datetime, *, ahead: timedelta = timedelta()
) -> None:
    """Refuse an instant outside of valid_from ≤ at < valid_to.

    ahead: how far valid_from may lie in the future, for a clock that is behind the authority's.
    Raises OutsideValidity.
    """
    check_instant(claims.constraints, at, ahead=ahead)


def check_instant(
    constraints: Constraints, at: datetime, *, ahead: timedelta = timedelta()
) -> None:
    """Do the same for constraints alone. Raises OutsideValidity."""
    if not constraints.valid_from - ahead <= at < constraints.valid_to:
        raise OutsideValidity


def _check_parties(
    claims: OperationTokenClaims | AccessTokenClaims, issuer: str, audience: str
) -> None:
    if claims.iss != issuer:
        raise TokenNotValid("iss")
    if claims.aud != audience:
        raise TokenNotValid("aud")
