"""Redeems, settles and releases at the authority, as the executor that a token names.

Retrying with the same Idempotency-Key is safe and gets the same answer; what permits the work is
`proceed`, and what makes it single is the redemption id stored with its effect (DESIGN §5.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

import httpx

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.deliveries import Delivery, verify_delivery
from batchtokens_verifier.errors import (
    AuthorityError,
    AuthorityUnavailable,
    IdempotencyMismatch,
    InvalidConstraints,
    InvalidOperation,
    LeaseLost,
    LimitExceeded,
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OperationTokenNotValid,
    OutsideValidity,
    ProblemError,
    SlotAlreadyRedeemed,
    UnresolvedConstraint,
)
from batchtokens_verifier.jwks import JwksCache
from batchtokens_verifier.transport import Answer, check_url, exchange

__all__ = [
    "Delivery",
    "ExecutorClient",
    "JwksCache",
    "Redemption",
    "RedemptionState",
    "verify_delivery",
]

MAX_DETAIL = 300

_REFUSALS = {
    refusal.code: refusal
    for refusal in (
        IdempotencyMismatch,
        LeaseLost,
        LimitExceeded,
        OperationHeld,
        OperationMismatch,
        OperationRevoked,
        OperationTokenNotValid,
        OutsideValidity,
        UnresolvedConstraint,
    )
}


@dataclass(frozen=True, slots=True)
class Redemption:
    """The authority's answer: act only while `proceed`, before `lease_expires_at`.

    remaining: {"period","total","occurrences"} as sent.
    """

    redemption_id: str
    slot: str
    status: str
    attempt: int
    amount: Amount
    proceed: bool
    lease_expires_at: datetime
    remaining: Mapping[str, Any]
    receipt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RedemptionState:
    """What became of a redemption: `status`, by its latest `attempt`."""

    status: str
    attempt: int


class ExecutorClient:
    """Speaks to one authority as one service client; safe to share between threads.

    http: a client to use instead of an own one: for proxies, a private CA, or tests.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        http: httpx.Client | None = None,
    ) -> None:
        self._redemptions = f"{check_url(issuer)}/api/v1/redemptions"
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._owns_http = http is None
        self._http = http or httpx.Client(trust_env=False)

    def close(self) -> None:
        """Close the connections, unless they are the caller's own."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def redeem(
        self,
        *,
        operation_token: str,
        operation: Mapping[str, Any],
        amount: Amount | None,
        occurrence: str | None,
        idempotency_key: str,
    ) -> Redemption:
        """Take a slot: the one of `occurrence`, else the earliest open one.

        amount: None where the operation fixes it. Raises the VerificationError of the refusal,
        AuthorityError for an unknown one, AuthorityUnavailable when the same call must be retried.
        """
        body: dict[str, Any] = {"operation_token": operation_token, "operation": dict(operation)}
        if amount is not None:
            body["amount"] = amount.as_json()
        elif "amount" in operation:
            body["amount"] = operation["amount"]
        if occurrence is not None:
            body["occurrence"] = occurrence
        headers = {"Idempotency-Key": idempotency_key}
        return _redemption(_members(self._post(self._redemptions, body, headers)))

    def settle(self, redemption_id: str, *, attempt: int, reference: str | None = None) -> None:
        """Record that the work is done; also after the lease, and again after a lost answer.

        reference: the executor's own name for the effect. Raises as `redeem` does.
        """
        body: dict[str, Any] = {"attempt": attempt}
        if reference is not None:
            body["reference"] = reference
        self._post(self._url(redemption_id, "settle"), body, {})

    def release(self, redemption_id: str, *, attempt: int, reason: str) -> None:
        """Give the slot back: only when it is certain that nothing was done.

        Raises as `redeem` does.
        """
        body = {"attempt": attempt, "reason": reason}
        self._post(self._url(redemption_id, "release"), body, {})

    def find(self, redemption_id: str) -> RedemptionState:
        """Ask what became of a redemption, when an answer was lost. Raises as `redeem` does."""
        url = f"{self._redemptions}/{quote(redemption_id, safe='')}"
        return _state(_members(self._exchange("GET", url)))

    def _url(self, redemption_id: str, verb: str) -> str:
        return f"{self._redemptions}/{quote(redemption_id, safe='')}/{verb}"

    def _post(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        return self._exchange("POST", url, headers=headers, json=dict(body))

    def _exchange(self, method: str, url: str, **content: Any) -> Answer:
        answer = exchange(self._http, method, url, auth=self._auth, **content)
        if httpx.codes.is_success(answer.status):
            return answer
        raise _refusal(answer)


def _members(answer: Answer) -> dict[str, Any]:
    try:
        members = parse_json(answer.body, max_bytes=len(answer.body))
    except InvalidOperation:
        members = None
    if not isinstance(members, dict):
        raise AuthorityUnavailable("The authority's answer is not a JSON object.")
    return members


def _redemption(members: Mapping[str, Any]) -> Redemption:
    try:
        return Redemption(
            redemption_id=str(members["redemption_id"]),
            slot=str(members["slot"]),
            status=str(members["status"]),
            attempt=int(members["attempt"]),
            amount=Amount.parse(members["amount"], "/amount"),
            # Nothing but true itself permits.
            proceed=members["proceed"] is True,
            lease_expires_at=_aware(members["lease_expires_at"]),
            remaining=dict(members.get("remaining") or {}),
            receipt=str(members["receipt"]),
        )
    except (KeyError, TypeError, ValueError, InvalidConstraints):
        raise AuthorityUnavailable("The authority's answer is incomplete.") from None


def _state(members: Mapping[str, Any]) -> RedemptionState:
    try:
        return RedemptionState(status=str(members["status"]), attempt=int(members["attempt"]))
    except (KeyError, TypeError, ValueError):
        raise AuthorityUnavailable("The authority's answer is incomplete.") from None


def _aware(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without an offset")
    return instant


def _refusal(answer: Answer) -> ProblemError:
    """Return the error that the authority's problem document (RFC 9457) names."""
    if answer.status == httpx.codes.TOO_MANY_REQUESTS or answer.status >= 500:
        return AuthorityUnavailable(f"The authority answered {answer.status}.")
    try:
        problem = _members(answer)
    except AuthorityUnavailable:
        problem = {}
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))[:MAX_DETAIL]
    if code == SlotAlreadyRedeemed.code:
        return SlotAlreadyRedeemed(detail, redemption_id=str(problem.get("redemption_id", "")))
    if code in _REFUSALS:
        return _REFUSALS[code](detail)
    return AuthorityError(detail, remote_code=code, remote_status=answer.status)
