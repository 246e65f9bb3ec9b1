"""Errors of the product: one root, one stable code each; the verifier's own below it.

They know no HTTP framework: `authproject/problems.py` turns them into answers. Codes are
listed in docs/errors.md and never change; texts may. No message holds token material.
"""

from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN_MEMBER = "An unknown member is here."


def member_pointer(pointer: str, name: object) -> str:
    """Return the JSON pointer of a member of what `pointer` points to (RFC 6901 §3)."""
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


class ProblemError(Exception):
    """Root of every error that this product raises on purpose."""

    code: str = "invalid_request"
    status: int = 400
    title: str = "The request was refused."
    oauth_error: str = "invalid_request"

    def __init__(self, detail: str = "", *, pointer: str = "") -> None:
        """Keep `detail` (one sentence, shown) and `pointer` (JSON pointer of the bad field)."""
        super().__init__(detail or self.title)
        self.detail = detail
        self.pointer = pointer

    def members(self) -> dict[str, str | int]:
        """Return the members that this error adds to its problem document."""
        return {}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused field of an input."""

    pointer: str
    code: str
    detail: str


class InvalidFieldsError(ProblemError):
    """The input's fields are wrong; each one is named."""

    code = "invalid"
    title = "Some fields are not valid."

    def __init__(self, errors: Sequence[FieldError], detail: str = "") -> None:
        """Keep `errors`, one for each refused field."""
        super().__init__(detail)
        self.errors = list(errors)


class InvalidOperation(ProblemError):
    """What was given is not an operation in canonical form (RFC 8785)."""

    code = "invalid_operation"
    title = "The operation is not valid."
    oauth_error = "invalid_authorization_details"


class InvalidConstraints(ProblemError):
    """The constraints of an operation are not valid."""

    code = "invalid_constraints"
    title = "The constraints are not valid."
    oauth_error = "invalid_authorization_details"


class VerificationError(ProblemError):
    """Base of all refusals of a token, a receipt, a delivery or a redemption."""

    code = "verification_failed"
    status = 403
    title = "The verification failed."


class TokenNotValid(VerificationError):
    """A token is not what it must be; every cause gives the same answer.

    `reason` is for the log alone: it never reaches `detail`, so no answer can tell causes apart.
    """

    code = "token_not_valid"
    status = 401
    title = "The token is not valid."
    oauth_error = "invalid_request"

    def __init__(self, reason: str = "", *, pointer: str = "") -> None:
        """Keep `reason`, a fixed phrase without token material."""
        super().__init__(pointer=pointer)
        self.reason = reason


class ProofNotValid(VerificationError):
    """A Merkle proof or a checkpoint does not prove what it is shown for."""

    code = "proof_not_valid"
    title = "The proof does not hold."


class LedgerNotValid(VerificationError):
    """A ledger, or an export of one, is not what its checkpoints say."""

    code = "ledger_not_valid"
    title = "The ledger is not valid."


class TokenMissing(VerificationError):
    code = "not_authenticated"
    status = 401
    title = "Unauthorized"
    oauth_error = "invalid_client"


class ScopeMissing(VerificationError):
    """The token is good, but not for this (RFC 6750 §3.1)."""

    code = "insufficient_scope"
    title = "The credential lacks a scope."

    def __init__(self, scope: str) -> None:
        """Keep the scopes that are needed."""
        super().__init__(f"This needs the scope {scope}.")
        self.scope = scope


class OperationTokenNotValid(TokenNotValid):
    """Wrong signature, issuer, audience, bytes, or unknown: one answer (I10)."""

    code = "operation_token_not_valid"
    status = 403
    title = "The operation token is not valid."


class EvidenceNotValid(VerificationError):
    """An evidence pack does not prove what it says; the pointer says where."""

    code = "evidence_not_valid"
    title = "The evidence is not valid."


class DeliveryNotValid(VerificationError):
    """A delivery is not signed by the authority, or not for this executor."""

    code = "delivery_not_valid"
    status = 401
    title = "The delivery is not valid."


class LengthRequired(VerificationError):
    code = "length_required"
    status = 411
    title = "A Content-Length is needed."


class BodyTooLarge(VerificationError):
    code = "body_too_large"
    status = 413
    title = "The body is too large."


class OperationMismatch(VerificationError):
    """The presented operation or amount is not the one that the token carries."""

    code = "operation_mismatch"
    title = "The operation is not the one that the token authorises."


class OutsideValidity(VerificationError):
    """The instant or the occurrence is outside of what the token allows."""

    code = "outside_validity"
    title = "The operation token is not valid at this time."


class OperationHeld(VerificationError):
    """The operation is held, or someone in it is switched off."""

    code = "operation_held"
    title = "The operation is held."


class OperationRevoked(VerificationError):
    """The operation was cancelled."""

    code = "operation_revoked"
    title = "The operation was cancelled."


class ExecutorStopped(VerificationError):
    """The executor passed a cap, or staff stopped it; only staff start it again."""

    code = "executor_stopped"
    title = "This executor is stopped."


class LimitExceeded(VerificationError):
    """A count or a sum would pass its limit."""

    code = "limit_exceeded"
    title = "A limit of the operation token would be exceeded."


class UnresolvedConstraint(VerificationError):
    """The executor must name a value, such as the amount, and did not."""

    code = "unresolved_constraint"
    title = "A value that the operation token leaves open is missing."


class SlotAlreadyRedeemed(VerificationError):
    """The slot is taken; its own client learns by which redemption."""

    code = "slot_already_redeemed"
    status = 409
    title = "This occurrence or period was already redeemed."

    def __init__(self, detail: str = "", *, pointer: str = "", redemption_id: str = "") -> None:
        """Keep `redemption_id`, empty where the caller may not learn it."""
        super().__init__(detail, pointer=pointer)
        self.redemption_id = redemption_id

    def members(self) -> dict[str, str | int]:
        """Return the redemption id, where it may be told."""
        return {"redemption_id": self.redemption_id} if self.redemption_id else {}


class LeaseLost(VerificationError):
    """A later attempt has the lease."""

    code = "lease_lost"
    status = 409
    title = "A later attempt holds this redemption."


class NoPermission(VerificationError):
    """The redemption does not permit its effect, now or any more; a later attempt may."""

    code = "no_permission"
    status = 503
    title = "The redemption gives no permission to proceed."


class IdempotencyMismatch(VerificationError):
    """The Idempotency-Key was used with another body."""

    code = "idempotency_mismatch"
    status = 422
    title = "This Idempotency-Key was used with another request."


class InvalidKeySet(ProblemError):
    """A JWKS cannot be used at all."""

    code = "invalid_key_set"
    status = 503
    title = "The key set is not valid."


class AuthorityUnavailable(ProblemError):
    """The authority gave no usable answer: try again with the same Idempotency-Key."""

    code = "authority_unavailable"
    status = 503
    title = "The authority cannot be reached."


class LedgerBehind(AuthorityUnavailable):
    """The authority refuses to redeem until its operators reconciled its ledger: do not hurry."""

    code = "ledger_behind"
    title = "The ledger is older than its last checkpoint outside; operators must reconcile it."
    oauth_error = "temporarily_unavailable"


class StatusUnavailable(AuthorityUnavailable):
    """No status list that is still good can be had: nothing may be said about the token."""

    code = "status_unavailable"
    title = "The status of the operation cannot be had."


class AuthorityError(ProblemError):
    """The authority refused with a code that this version does not know."""

    code = "authority_error"
    status = 502
    title = "The authority refused the request."

    def __init__(self, detail: str = "", *, remote_code: str = "", remote_status: int = 0) -> None:
        """Keep the authority's own code and HTTP status."""
        super().__init__(detail)
        self.remote_code = remote_code
        self.remote_status = remote_status
