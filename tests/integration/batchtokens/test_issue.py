"""Issuing: what is signed is what was asked, within the type's caps; nothing else is stored."""

import json
from datetime import timedelta
from typing import Any

import pytest

from accounts.crypto import open_sealed
from accounts.errors import AuthenticationTooOld
from accounts.tokens.backend import verify_token
from batchtokens.errors import (
    ConsentRequired,
    MandateLimitReached,
    MetaScopeMissing,
    OperationTypeUnknown,
    ScopeNotOfType,
    SubjectTokenNotValid,
    SubjectTokenSpent,
    TargetNotValid,
    TriggerNotAllowed,
)
from batchtokens.models import LedgerEntry, OperationToken, OperationType
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens_verifier.claims import parse_operation_token
from batchtokens_verifier.errors import (
    IdempotencyMismatch,
    InvalidConstraints,
    InvalidOperation,
    ProblemError,
)
from batchtokens_verifier.jws import Purpose
from tests import factories, mandates

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def exchange(world: mandates.Savings, request: Any, **changes: Any) -> Any:
    details = changes.pop("details", None)
    asked = type(request)(
        **{
            "subject_token": request.subject_token,
            "target": request.target,
            "scope": request.scope,
            "idempotency_key": request.idempotency_key,
            "details": {**request.details, **(details or {})},
            **changes,
        }
    )
    return exchange_access_token(by=world.trigger.client, request=asked)


def test_signs_what_was_asked(world: mandates.Savings) -> None:
    issued = mandates.issue(world)

    claims = parse_operation_token(verify_token(issued.token, purpose=Purpose.OPERATION))
    assert (claims.sub, claims.aud) == (world.alice.public_id, mandates.EXECUTOR_AUDIENCE)
    assert (claims.client_id, claims.act, claims.scope) == ("trigger", "trigger", "savings.deposit")
    assert claims.operation == mandates.OPERATION
    assert claims.operation_id == issued.row.public_id
    assert claims.parameter_digest == "sha-256:hCjL5d8Qmhn8lzFf-BvGcIk96bpt1ADjPJ3kwnzYpSY"


def test_stores_the_digest_of_the_bytes_and_not_the_bytes(world: mandates.Savings) -> None:
    issued = mandates.issue(world)

    stored = OperationToken.objects.values().get()
    assert stored["sealed_token"] is None
    assert issued.token not in json.dumps(stored, default=str)


def test_opens_the_ledger_without_personal_values(world: mandates.Savings) -> None:
    issued = mandates.issue(world)

    entry = LedgerEntry.objects.of_operations().get()
    assert (entry.kind, entry.seq, entry.hash) == ("issued", 1, issued.row.head_hash)
    assert world.alice.public_id not in entry.entry
    assert "sav-7781" not in entry.entry


def test_the_sentence_shows_every_leaf_and_limit(world: mandates.Savings) -> None:
    issued = mandates.issue(world, max_total={"amount": "600.00", "currency": "USD"})

    for shown in ("50.00 USD", "chk-1042", "sav-7781", "monthly savings", "600.00 USD", "once, in"):
        assert shown in issued.row.summary


def test_one_subject_token_buys_one_operation_token_of_a_type(world: mandates.Savings) -> None:
    request = mandates.exchange_request(world)
    exchange(world, request)

    with pytest.raises(SubjectTokenSpent):
        exchange(world, request)
    assert OperationToken.objects.count() == 1


def test_the_same_key_and_body_get_the_same_token_for_a_day(world: mandates.Savings) -> None:
    request = mandates.exchange_request(world)
    first, again = (exchange(world, request, idempotency_key="k") for _ in range(2))

    assert first.token == again.token
    row = OperationToken.objects.get()
    context = f"issued:{row.public_id}"
    assert row.sealed_token is not None
    assert open_sealed(bytes(row.sealed_token), context=context).decode() == first.token


def test_the_same_key_with_another_body_is_refused(world: mandates.Savings) -> None:
    request = mandates.exchange_request(world)
    exchange(world, request, idempotency_key="k")

    with pytest.raises(IdempotencyMismatch):
        exchange(world, request, idempotency_key="k", details={"valid_to": mandates.in_days(2)})


@pytest.mark.parametrize(
    ("changes", "refusal", "pointer"),
    [
        ({"subject_token": "a.b.c"}, SubjectTokenNotValid, ""),
        ({"target": mandates.TRIGGER_AUDIENCE}, TargetNotValid, ""),
        ({"scope": "savings.withdraw"}, ScopeNotOfType, ""),
        ({"details": {"type": "savings.withdraw"}}, OperationTypeUnknown, "/type"),
        ({"details": {"type": 7}}, InvalidConstraints, "/type"),
        ({"details": {"identifier": "op_1"}}, InvalidConstraints, "/identifier"),
        ({"details": {"consent": {}}}, InvalidConstraints, "/consent"),
        ({"details": {"redemption": {}}}, InvalidConstraints, "/redemption"),
        ({"details": {"actions": ["x"]}}, InvalidConstraints, "/actions"),
        ({"details": {"locations": ["https://evil.example/"]}}, InvalidConstraints, "/locations"),
        ({"details": {"surprise": "1"}}, InvalidConstraints, ""),
        ({"details": {"operation": None}}, InvalidOperation, "/operation"),
        ({"details": {"operation": {"action": "x"}}}, InvalidOperation, "/operation"),
        ({"details": {"valid_to": "2001-01-01T00:00:00Z"}}, InvalidConstraints, "/valid_to"),
        ({"details": {"valid_to": mandates.in_days(400)}}, InvalidConstraints, "/valid_to"),
        ({"details": {"valid_from": mandates.in_days(-1)}}, InvalidConstraints, "/valid_from"),
        ({"details": {"max_occurrences": 1.5}}, InvalidConstraints, "/max_occurrences"),
    ],
)
def test_a_bad_request_gets_its_code_and_pointer_and_stores_nothing(
    world: mandates.Savings, changes: dict[str, Any], refusal: type[ProblemError], pointer: str
) -> None:
    with pytest.raises(refusal) as caught:
        exchange(world, mandates.exchange_request(world), **changes)

    assert caught.value.pointer == pointer
    assert not OperationToken.objects.exists()


def test_only_the_listed_triggers_may_ask(world: mandates.Savings) -> None:
    rival = factories.service_client("rival", scopes=["token_exchange"])
    token = factories.access_token_for(world.alice, scope=mandates.META_SCOPE)
    request = mandates.exchange_request(world)

    with pytest.raises(TriggerNotAllowed):
        exchange_access_token(
            by=rival.client, request=type(request)(**{**vars(request), "subject_token": token})
        )


def test_the_subject_needs_the_meta_scope(world: mandates.Savings) -> None:
    token = mandates.subject_token(world, scope="profile")

    with pytest.raises(MetaScopeMissing):
        exchange(world, mandates.exchange_request(world), subject_token=token)


def test_a_persons_live_mandates_are_capped() -> None:
    world = mandates.savings(max_live_mandates=2)
    for _ in range(2):
        mandates.issue(world)

    with pytest.raises(MandateLimitReached):
        mandates.issue(world)


def test_the_sum_of_a_persons_totals_is_capped() -> None:
    world = mandates.savings(max_total={"amount": "100.00", "currency": "USD"})
    mandates.issue(world, max_total={"amount": "60.00", "currency": "USD"})

    for total in (None, {"amount": "40.01", "currency": "USD"}):
        with pytest.raises(MandateLimitReached):
            mandates.issue(world, max_total=total)
    mandates.issue(world, max_total={"amount": "40.00", "currency": "USD"})


def test_a_type_may_want_a_recent_sign_in() -> None:
    world = mandates.savings(max_authentication_age=60)
    request = mandates.exchange_request(world)
    start = mandates.issue(world).row.issued_at

    with pytest.raises(AuthenticationTooOld):
        exchange_access_token(
            by=world.trigger.client, request=request, now=start + timedelta(seconds=120)
        )


def test_exact_consent_is_asked_for_where_the_type_wants_it(world: mandates.Savings) -> None:
    OperationType.objects.update(consent="exact")

    with pytest.raises(ConsentRequired):
        mandates.issue(world)
    assert not OperationToken.objects.exists()


def test_a_version_that_has_issued_never_changes(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    create_operation_type(definition=mandates.savings_definition(max_lifetime_days=60))

    issued.row.refresh_from_db()
    assert (issued.row.operation_type.version, issued.row.operation_type.max_lifetime_days) == (
        1,
        366,
    )
    assert mandates.issue(world).row.operation_type.version == 2
