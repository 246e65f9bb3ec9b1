"""Reads the claims of access and operation tokens (RFC 9068, RFC 9396).

Wire format, append-only: an unknown claim is ignored, but an unknown member of the one
authorization_details element is refused, because an unread constraint would not constrain.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from batchtokens_verifier import canonical
from batchtokens_verifier.canonical import JSON, b64url, canonical_operation
from batchtokens_verifier.constraints import Amount, Constraints
from batchtokens_verifier.constraints.terms import CONSTRAINT_MEMBERS
from batchtokens_verifier.errors import (
    InvalidConstraints,
    InvalidOperation,
    OperationTokenNotValid,
    TokenNotValid,
)

CLOCK_SKEW_SECONDS = 10
FIRST_PARTY = "first-party"

_DETAIL_MEMBERS = {"type", "actions", "locations", "identifier", "operation", "redemption"}
_OPERATION_JTI = re.compile(r"opt_[A-Za-z0-9_-]{22,64}")
_OPERATION_ID = re.compile(r"op_[A-Za-z0-9_-]{1,64}")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3


@dataclass(frozen=True, slots=True)
class AccessTokenClaims:
    """Claims of an access token. iat, nbf, exp, auth_time: seconds since the epoch."""

    iss: str
    sub: str
    aud: str
    client_id: str
    iat: int
    nbf: int
    exp: int
    jti: str
    scope: str
    sid: str | None
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    key: str | None = None  # private: the API key that a service client got the token for


@dataclass(frozen=True, slots=True)
class StatusReference:
    """Where a token's status is told: entry `idx` of the list at `uri`."""

    uri: str
    idx: int


@dataclass(frozen=True, slots=True)
class ConsentReference:
    """What the user confirmed: mode `exact` names the consent and the digest of the mandate."""

    mode: str
    id: str | None = None
    mandate_digest: str | None = None


@dataclass(frozen=True, slots=True)
class OperationTokenClaims:
    """Claims of an operation token. iat, nbf, exp: seconds since the epoch."""

    iss: str
    sub: str
    aud: str
    client_id: str
    act: str | None
    scope: str
    txn: str
    jti: str
    iat: int
    nbf: int
    exp: int
    parameter_digest: str
    consent_mode: str
    operation_type: str
    operation_id: str
    operation: dict[str, JSON]
    constraints: Constraints
    redemption_uri: str
    raw: dict[str, Any] = field(repr=False)
    status: StatusReference | None = None
    consent: ConsentReference = ConsentReference("scope")

    @property
    def token_hash(self) -> str:
        """Return the name that the ledger knows this token by."""
        return token_hash(self.jti)


def token_hash(jti: str) -> str:
    """Return base64url(SHA-256(jti))."""
    return b64url(hashlib.sha256(jti.encode()).digest())


def redemption_id(token_hash: str, slot: str) -> str:
    """Return the one id that a slot's redemption can have: `rdm_` + base64url(SHA-256(…|slot))."""
    return f"rdm_{b64url(hashlib.sha256(f'{token_hash}|{slot}'.encode()).digest())}"


def parse_access_token(claims: Mapping[str, Any]) -> AccessTokenClaims:
    """Read verified claims; their times are the caller's to check (`check_times`).

    Raises TokenNotValid.
    """
    if "parameter_digest" in claims or "authorization_details" in claims:
        raise TokenNotValid("not an access token")
    return AccessTokenClaims(
        **_common(claims),
        sid=_string(claims, "sid") if "sid" in claims else None,
        auth_time=_integer(claims, "auth_time") if "auth_time" in claims else None,
        acr=_string(claims, "acr") if "acr" in claims else None,
        amr=_strings(claims, "amr") if "amr" in claims else (),
        key=_string(claims, "key") if "key" in claims else None,
    )


def check_times(claims: AccessTokenClaims, now: datetime) -> None:
    """Refuse a token that is expired, not yet valid, or dated more than 10 s ahead.

    `now >= exp` is expired, without leeway. Raises TokenNotValid.
    """
    if max(claims.iat, claims.nbf) > now.timestamp() + CLOCK_SKEW_SECONDS:
        raise TokenNotValid("not yet valid")
    if now.timestamp() >= claims.exp:
        raise TokenNotValid("expired")


def parse_operation_token(
    claims: Mapping[str, Any], *, allow_secondly: bool = False
) -> OperationTokenClaims:
    """Read verified claims and check all that one token says about itself.

    allow_secondly: also schedules finer than DAILY. Raises OperationTokenNotValid.
    """
    try:
        return _operation_claims(claims, allow_secondly=allow_secondly)
    except TokenNotValid as refusal:
        raise OperationTokenNotValid(refusal.reason) from None
    except InvalidOperation:
        raise OperationTokenNotValid("operation") from None
    except InvalidConstraints as refusal:
        raise OperationTokenNotValid(f"constraints{refusal.pointer}") from None


def _operation_claims(claims: Mapping[str, Any], *, allow_secondly: bool) -> OperationTokenClaims:
    common = _common(claims)
    detail = _only_detail(claims)
    operation, written = canonical_operation(detail.get("operation"))
    members = {name: detail[name] for name in CONSTRAINT_MEMBERS if name in detail}
    constraints = _constraints(
        json.dumps(members, sort_keys=True), _fixed_amount(operation), allow_secondly
    )
    consent = _consent(claims)
    parsed = OperationTokenClaims(
        **common,
        act=_actor(claims),
        txn=_string(claims, "txn"),
        parameter_digest=_string(claims, "parameter_digest"),
        consent_mode=consent.mode,
        operation_type=_string(detail, "type"),
        operation_id=_string(detail, "identifier"),
        operation=operation,
        constraints=constraints,
        redemption_uri=_redemption_uri(detail),
        raw=dict(claims),
        status=_status(claims) if "status" in claims else None,
        consent=consent,
    )
    _check_agreement(parsed, detail, written)
    return parsed


@lru_cache(maxsize=64)
def _constraints(members: str, amount: Amount | None, allow_secondly: bool) -> Constraints:
    """Read constraints: those of mandates that were issued together, once.

    Few are kept, as a schedule may have thousands of due times.
    """
    return Constraints.parse(
        json.loads(members), operation_amount=amount, allow_secondly=allow_secondly
    )


def _check_agreement(parsed: OperationTokenClaims, detail: Mapping[str, Any], text: bytes) -> None:
    """Refuse a token whose members contradict each other. text: the operation, canonical."""
    constraints = parsed.constraints
    agreements = {
        "jti": bool(_OPERATION_JTI.fullmatch(parsed.jti)),
        "identifier": bool(_OPERATION_ID.fullmatch(parsed.operation_id)),
        "scope": bool(_SCOPE_TOKEN.fullmatch(parsed.scope)),
        "actions": detail.get("actions") == [parsed.scope],
        "locations": detail.get("locations") == [parsed.aud],
        "act": parsed.act == (None if parsed.client_id == FIRST_PARTY else parsed.client_id),
        "exp": parsed.exp == constraints.valid_to.timestamp(),
        "nbf": parsed.nbf == max(parsed.iat, constraints.valid_from.timestamp()),
        "parameter_digest": parsed.parameter_digest == canonical.digest(text),
        "mandate_digest": _is_as_confirmed(parsed, detail),
    }
    for claim, agrees in agreements.items():
        if not agrees:
            raise TokenNotValid(claim)


def _is_as_confirmed(parsed: OperationTokenClaims, detail: Mapping[str, Any]) -> bool:
    parties = {"sub": parsed.sub, "client_id": parsed.client_id, "aud": parsed.aud}
    digest = parsed.consent.mandate_digest
    return digest is None or digest == canonical.mandate_digest(**parties, detail=detail)


def _only_detail(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    details = claims.get("authorization_details")
    if not isinstance(details, list) or len(details) != 1 or not isinstance(details[0], dict):
        raise TokenNotValid("authorization_details")
    if not (CONSTRAINT_MEMBERS | _DETAIL_MEMBERS).issuperset(details[0]):
        raise TokenNotValid("authorization_details members")
    return details[0]


def _fixed_amount(operation: Mapping[str, JSON]) -> Amount | None:
    return Amount.parse(operation["amount"], "/amount") if "amount" in operation else None


def _actor(claims: Mapping[str, Any]) -> str | None:
    if "act" not in claims:
        return None
    # RFC 8693 §4.1: a nested act would be a chain of delegations; there are none.
    if not isinstance(claims["act"], dict) or claims["act"].keys() != {"sub"}:
        raise TokenNotValid("act")
    return _string(claims["act"], "sub")


def _consent(claims: Mapping[str, Any]) -> ConsentReference:
    consent = claims.get("consent")
    if not isinstance(consent, dict) or consent.get("mode") not in ("scope", "exact"):
        raise TokenNotValid("consent")
    optional = {n: _string(consent, n) for n in ("id", "mandate_digest") if n in consent}
    return ConsentReference(mode=str(consent["mode"]), **optional)


def _status(claims: Mapping[str, Any]) -> StatusReference:
    """Read the reference (Token Status List, section 6); another mechanism could not be asked."""
    status = claims["status"]
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        raise TokenNotValid("status")
    return StatusReference(uri=_string(reference, "uri"), idx=_integer(reference, "idx"))


def _redemption_uri(detail: Mapping[str, Any]) -> str:
    redemption = detail.get("redemption")
    if not isinstance(redemption, dict) or redemption.keys() != {"mode", "uri"}:
        raise TokenNotValid("redemption")
    if redemption["mode"] != "issuer":
        raise TokenNotValid("redemption mode")
    return _string(redemption, "uri")


def _common(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return RFC 9068's claims, which both classes have; `aud` is one string, never a list."""
    names = ("iss", "sub", "aud", "client_id", "jti", "scope")
    strings = {name: _string(claims, name) for name in names}
    times = {name: _integer(claims, name) for name in ("iat", "nbf", "exp")}
    return strings | times


def _string(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenNotValid(name)
    return value


def _strings(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TokenNotValid(name)
    return tuple(value)


def _integer(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise TokenNotValid(name)
    return value
