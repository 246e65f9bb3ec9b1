"""Redemptions as an executor asks for them, and as it reads the authority's answers; no I/O.

Wire format, append-only: an unknown member of an answer is ignored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import (
    AuthorityError,
    AuthorityUnavailable,
    ExecutorStopped,
    IdempotencyMismatch,
    InvalidConstraints,
    InvalidOperation,
    LeaseLost,
    LedgerBehind,
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
from batchtokens_verifier.transport import Answer

MAX_DETAIL = 300

_REFUSALS: dict[str, type[ProblemError]] = {
    refusal.code: refusal
    for refusal in (
        ExecutorStopped,
        IdempotencyMismatch,
        LeaseLost,
        LedgerBehind,
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

    @property
    def assurance(self) -> str:
        """Return what this rests on: the authority's ledger."""
        return "redeemed"


@dataclass(frozen=True, slots=True)
class RedemptionState:
    """What became of a redemption: `status`, by its latest `attempt`."""

    status: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RedemptionRequest:
    """One redemption to ask for.

    operation: the signed one. amount: None where the operation fixes it. occurrence: None for the
    earliest open slot. idempotency_key: the same for each retry, and for nothing else.
    """

    operation_token: str = field(repr=False)
    operation: Mapping[str, Any]
    idempotency_key: str
    amount: Amount | None = None
    occurrence: str | None = None

    def members(self) -> dict[str, Any]:
        """Return the JSON body."""
        body: dict[str, Any] = {
            "operation_token": self.operation_token,
            "operation": dict(self.operation),
        }
        if self.amount is not None:
            body["amount"] = self.amount.as_json()
        elif "amount" in self.operation:
            body["amount"] = self.operation["amount"]
        if self.occurrence is not None:
            body["occurrence"] = self.occurrence
        return body


def accepted(answer: Answer) -> Answer:
    """Return a successful answer. Raises the error that any other one names."""
    if httpx.codes.is_success(answer.status):
        return answer
    raise _refusal(answer)


def read_redemption(answer: Answer, asked: RedemptionRequest) -> Redemption:
    """Read the answer to `redeem`. Raises AuthorityUnavailable where it is no whole one."""
    found = _redemption(_members(answer.body))
    if not _is_of(found, asked):
        raise AuthorityUnavailable("The authority's answer is about another amount.")
    return found


def _is_of(found: Redemption | ProblemError, asked: RedemptionRequest) -> bool:
    """Tell whether a permission is for the sum that was asked for: no more is ever moved."""
    if not isinstance(found, Redemption):
        return True
    return found.amount.as_json() == asked.members().get("amount")


def read_state(answer: Answer) -> RedemptionState:
    """Read the answer to `find`. Raises AuthorityUnavailable where it is no whole one."""
    members = _members(answer.body)
    try:
        return RedemptionState(status=str(members["status"]), attempt=int(members["attempt"]))
    except (KeyError, TypeError, ValueError):
        raise AuthorityUnavailable("The authority's answer is incomplete.") from None


def read_batch(
    answer: Answer, asked: Sequence[RedemptionRequest]
) -> list[Redemption | ProblemError]:
    """Read the answer to `redeem_batch`: for each request, in order, its redemption or refusal.

    What has no whole line, or another's, is AuthorityUnavailable: ask for it again.
    """
    lines: Iterable[bytes] = answer.body.split(b"\n")
    read = [_line(line) for line in lines if line]
    missing = AuthorityUnavailable("The authority's answer is incomplete.")
    if len(read) != len(asked):
        # Which lines are whose cannot be told by counting.
        return [missing for _ in asked]
    return [
        found if key in ("", one.idempotency_key) and _is_of(found, one) else missing
        for (key, found), one in zip(read, asked, strict=True)
    ]


def _line(line: bytes) -> tuple[str, Redemption | ProblemError]:
    try:
        members = _members(line)
        key = str(members.get("idempotency_key", ""))
        if "redemption_id" in members and "receipt" in members:
            return key, _redemption(members)
        return key, _refused(members, int(members.get("http_status") or members.get("status", 0)))
    except (AuthorityUnavailable, TypeError, ValueError):
        return "", AuthorityUnavailable("The authority's answer is incomplete.")


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = parse_json(body, max_bytes=len(body))
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


def _aware(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without an offset")
    return instant


def _refusal(answer: Answer) -> ProblemError:
    """Return the error that the authority's problem document (RFC 9457) names."""
    try:
        problem = _members(answer.body)
    except AuthorityUnavailable:
        problem = {}
    return _refused(problem, answer.status)


def _refused(problem: Mapping[str, Any], status: int) -> ProblemError:
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))[:MAX_DETAIL]
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        if code == LedgerBehind.code:
            return LedgerBehind(detail)
        return AuthorityUnavailable(f"The authority answered {status}.")
    if code == SlotAlreadyRedeemed.code:
        return SlotAlreadyRedeemed(detail, redemption_id=str(problem.get("redemption_id", "")))
    if code in _REFUSALS:
        return _REFUSALS[code](detail)
    return AuthorityError(detail, remote_code=code, remote_status=status)
