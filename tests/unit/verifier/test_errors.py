"""Codes and statuses never change: clients decide by them."""

import pytest

from batchtokens_verifier import errors
from batchtokens_verifier.errors import FieldError, InvalidFieldsError, ProblemError

ANSWERS = {
    "InvalidFieldsError": ("invalid", 400, "invalid_request"),
    "InvalidOperation": ("invalid_operation", 400, "invalid_authorization_details"),
    "InvalidConstraints": ("invalid_constraints", 400, "invalid_authorization_details"),
    "TokenNotValid": ("token_not_valid", 401, "invalid_request"),
    "OperationTokenNotValid": ("operation_token_not_valid", 403, "invalid_request"),
    "ProofNotValid": ("proof_not_valid", 403, "invalid_request"),
    "LedgerNotValid": ("ledger_not_valid", 403, "invalid_request"),
    "EvidenceNotValid": ("evidence_not_valid", 403, "invalid_request"),
    "DeliveryNotValid": ("delivery_not_valid", 401, "invalid_request"),
    "OperationMismatch": ("operation_mismatch", 403, "invalid_request"),
    "OutsideValidity": ("outside_validity", 403, "invalid_request"),
    "OperationHeld": ("operation_held", 403, "invalid_request"),
    "OperationRevoked": ("operation_revoked", 403, "invalid_request"),
    "LimitExceeded": ("limit_exceeded", 403, "invalid_request"),
    "UnresolvedConstraint": ("unresolved_constraint", 403, "invalid_request"),
    "SlotAlreadyRedeemed": ("slot_already_redeemed", 409, "invalid_request"),
    "LeaseLost": ("lease_lost", 409, "invalid_request"),
    "IdempotencyMismatch": ("idempotency_mismatch", 422, "invalid_request"),
    "InvalidKeySet": ("invalid_key_set", 503, "invalid_request"),
    "AuthorityUnavailable": ("authority_unavailable", 503, "invalid_request"),
    "ExecutorStopped": ("executor_stopped", 403, "invalid_request"),
    "LedgerBehind": ("ledger_behind", 503, "temporarily_unavailable"),
    "TokenMissing": ("not_authenticated", 401, "invalid_client"),
    "ScopeMissing": ("insufficient_scope", 403, "invalid_request"),
    "LengthRequired": ("length_required", 411, "invalid_request"),
    "BodyTooLarge": ("body_too_large", 413, "invalid_request"),
    "NoPermission": ("no_permission", 503, "invalid_request"),
    "StatusUnavailable": ("status_unavailable", 503, "invalid_request"),
    "AuthorityError": ("authority_error", 502, "invalid_request"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_of_each_error(name: str) -> None:
    error: type[ProblemError] = getattr(errors, name)

    assert (error.code, error.status, error.oauth_error) == ANSWERS[name]


def test_no_error_is_left_out() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, ProblemError)
    }

    assert defined - {"ProblemError", "VerificationError"} == set(ANSWERS)


def test_text_is_the_detail_or_the_title() -> None:
    error = errors.LimitExceeded("One more.", pointer="/amount")

    assert (str(error), error.detail, error.pointer) == ("One more.", "One more.", "/amount")
    assert str(errors.LimitExceeded()) == errors.LimitExceeded.title


def test_each_wrong_field_is_named() -> None:
    field = FieldError("/email", "invalid", "No address.")

    assert InvalidFieldsError([field]).errors == [field]
