"""What only the authority refuses; the codes that it shares are in batchtokens_verifier.errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from accounts.errors import AuthenticationTooOld, InsufficientScope
from batchtokens_verifier.errors import ProblemError


class BatchtokensError(ProblemError):
    """Base of the refusals that only the authority can make."""


class OperationTypeUnknown(BatchtokensError):
    code = "operation_type_unknown"
    status = 400
    title = "There is no such operation type."
    oauth_error = "invalid_authorization_details"


class OperationTypeNotValid(BatchtokensError):
    code = "operation_type_not_valid"
    status = 400
    title = "The operation type's definition is not valid."


class ConsentModeNotSupported(BatchtokensError):
    """The type is in scope mode: its meta-scope is enough, and there is nothing to confirm."""

    code = "consent_mode_not_supported"
    status = 400
    title = "This consent mode is not supported."
    oauth_error = "invalid_authorization_details"


class ConsentRequired(BatchtokensError):
    code = "consent_required"
    status = 403
    title = "The person must confirm exactly this first."
    oauth_error = "invalid_authorization_details"


class ConsentNotValid(BatchtokensError):
    code = "consent_not_valid"
    status = 400
    title = "The consent is unknown, over, unconfirmed or spent."
    oauth_error = "invalid_authorization_details"


class ConsentMismatch(BatchtokensError):
    code = "consent_mismatch"
    status = 400
    title = "This is not what the person confirmed."
    oauth_error = "invalid_authorization_details"


class ConsentNotFound(BatchtokensError):
    code = "not_found"
    status = 404
    title = "There is no such consent."


class TooManyConsents(BatchtokensError):
    code = "too_many_consents"
    status = 409
    title = "Too many consents are open: use them, or wait until they end."


class SecondFactorMissing(AuthenticationTooOld):
    """A consent is confirmed with a code, and this person has nothing that shows one."""

    title = "An authenticator app must be set up first."

    def __init__(self) -> None:
        super().__init__(None, acr_values="aal2")
        self.detail = self.title


class LimitNotLower(BatchtokensError):
    code = "limit_not_lower"
    status = 403
    title = "A limit can be lowered; to raise one, the person must consent anew."


class MetaScopeMissing(InsufficientScope):
    title = "The access token lacks the meta-scope."
    oauth_error = "invalid_scope"


class ScopeNotOfType(BatchtokensError):
    code = "invalid_scope"
    status = 400
    title = "The scope is not the operation type's."
    oauth_error = "invalid_scope"


class TriggerNotAllowed(BatchtokensError):
    code = "trigger_not_allowed"
    status = 403
    title = "This client may not trigger operations of this type."
    oauth_error = "unauthorized_client"


class TargetNotValid(BatchtokensError):
    code = "invalid_target"
    status = 400
    title = "The audience is not the operation type's executor."
    oauth_error = "invalid_target"


class PersonNotValid(BatchtokensError):
    code = "person_not_valid"
    status = 400
    title = "The person is unknown, or may not sign in."


class SubjectTokenNotValid(BatchtokensError):
    code = "subject_token_not_valid"
    status = 400
    title = "The subject token is not valid."


class SubjectTokenSpent(BatchtokensError):
    code = "subject_token_spent"
    status = 400
    title = "This subject token has already bought an operation token of this type."


class MandateLimitReached(BatchtokensError):
    code = "mandate_limit_reached"
    status = 403
    title = "The operation type's cap for one person is reached."
    oauth_error = "invalid_authorization_details"


class CapsNotValid(BatchtokensError):
    code = "caps_not_valid"
    status = 400
    title = "The executor's caps are not valid."


class BatchTooLarge(BatchtokensError):
    code = "batch_too_large"
    status = 413
    title = "The batch has too many lines or bytes."


class OperationNotFound(BatchtokensError):
    code = "not_found"
    status = 404
    title = "There is no such operation."


class RedemptionNotFound(BatchtokensError):
    code = "not_found"
    status = 404
    title = "There is no such redemption."


class StatusListNotFound(BatchtokensError):
    code = "not_found"
    status = 404
    title = "There is no such status list."


class HoldNotAllowed(BatchtokensError):
    code = "hold_not_allowed"
    status = 409
    title = "This hold cannot be set or lifted."


class NoNewToken(BatchtokensError):
    code = "no_new_token"
    status = 409
    title = "Its token was not signed anew, or was fetched more than a day ago."


class OperationFinal(BatchtokensError):
    code = "operation_final"
    status = 409
    title = "The operation has ended."


class ReleaseLimitReached(BatchtokensError):
    code = "release_limit_reached"
    status = 409
    title = "This slot was released too often; staff must decide."


class LedgerBroken(BatchtokensError):
    code = "ledger_broken"
    status = 503
    title = "The operation's ledger does not match its state."
    oauth_error = "temporarily_unavailable"


class EvidenceNotReady(BatchtokensError):
    code = "evidence_not_ready"
    status = 409
    title = "The operation's evidence is not complete yet."


class LedgerBehind(BatchtokensError):
    code = "ledger_behind"
    status = 503
    title = "The ledger is older than its last checkpoint outside; operators must reconcile it."
    oauth_error = "temporarily_unavailable"


class NothingToReconcile(BatchtokensError):
    code = "nothing_to_reconcile"
    status = 409
    title = "The ledger holds the last checkpoint outside: nothing is lost."


class CheckpointNotFound(BatchtokensError):
    code = "not_found"
    status = 404
    title = "There is no checkpoint of this size."


class NotSealedYet(BatchtokensError):
    code = "not_sealed_yet"
    status = 404
    title = "The entry is not in a signed tree yet; ask again in a second."
    oauth_error = "not_sealed_yet"


class AuthorityBusy(BatchtokensError):
    code = "busy"
    status = 503
    title = "Another request holds this operation; try again."
    oauth_error = "temporarily_unavailable"


@contextmanager
def under(pointer: str) -> Iterator[None]:
    """Let errors of a part point into the whole: their pointers get `pointer` in front."""
    try:
        yield
    except ProblemError as error:
        error.pointer = pointer + error.pointer
        raise
