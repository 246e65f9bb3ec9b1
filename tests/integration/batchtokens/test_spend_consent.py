"""Exact mode: a confirmed consent buys one token, of what was shown and of nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from accounts.models import ServiceClient
from batchtokens.errors import (
    ConsentMismatch,
    ConsentModeNotSupported,
    ConsentNotValid,
    ConsentRequired,
)
from batchtokens.models import Consent, LedgerEntry, OperationToken, OperationType, salted_digest
from batchtokens.services.issuing.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.mandates.freeze_operations import freeze_operations
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens_verifier.canonical import canonicalize, digest
from batchtokens_verifier.claims import parse_operation_token
from batchtokens_verifier.errors import IdempotencyMismatch, InvalidConstraints, ProblemError
from tests import factories, mandates
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db

VALID_TO = mandates.in_days(30)
OTHER = {**mandates.OPERATION, "creditor_account": "sav-6666"}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


@pytest.fixture
def consent(world: mandates.Savings) -> Consent:
    return mandates.consent(world, valid_to=VALID_TO)


def request_of(world: mandates.Savings, consent: Consent, **changes: Any) -> ExchangeRequest:
    wanted = {"valid_to": VALID_TO, "consent_id": consent.public_id} | changes
    return mandates.exchange_request(world, **wanted)


def exchange(world: mandates.Savings, request: ExchangeRequest, **how: Any) -> OperationToken:
    return exchange_access_token(by=world.trigger.client, request=request, **how).row


def refused(world: mandates.Savings, request: ExchangeRequest, error: type[ProblemError]) -> None:
    """Expect this refusal, and that nothing was stored or spent."""
    with pytest.raises(error):
        exchange(world, request)
    assert not OperationToken.objects.exists()
    assert not LedgerEntry.objects.filter(operation_token__isnull=False).exists()
    assert not Consent.objects.exclude(spent_at=None).exists()


def test_buys_what_was_shown(world: mandates.Savings, consent: Consent) -> None:
    row = exchange(world, request_of(world, consent))

    consent.refresh_from_db()
    assert row.consent == consent
    assert (row.consent_mode, row.summary, row.language) == ("exact", consent.summary, "en")
    assert consent.spent_at == row.issued_at
    granted = {n: v for n, v in row.details.items() if n not in {"identifier", "redemption"}}
    assert granted == consent.details


def test_the_token_names_the_consent(world: mandates.Savings, consent: Consent) -> None:
    issued = exchange_access_token(by=world.trigger.client, request=request_of(world, consent))

    claims = claims_of(issued.token)
    assert claims["consent"] == {
        "mode": "exact",
        "id": consent.public_id,
        "mandate_digest": consent.mandate_digest,
    }
    assert parse_operation_token(claims).consent_mode == "exact"


def test_the_digest_is_of_the_whole_mandate(world: mandates.Savings, consent: Consent) -> None:
    mandate = {
        "sub": world.alice.public_id,
        "client_id": "trigger",
        "aud": mandates.EXECUTOR_AUDIENCE,
        "authorization_details": [consent.details],
    }

    assert consent.mandate_digest == digest(canonicalize(mandate))
    assert set(consent.details) == {
        "type",
        "actions",
        "locations",
        "operation",
        "valid_from",
        "valid_to",
        "periodic_limits",
    }


def test_the_ledger_keeps_digests(world: mandates.Savings, consent: Consent) -> None:
    row = exchange(world, request_of(world, consent))

    entry = LedgerEntry.objects.get(operation_token=row)
    data, salt = json.loads(entry.entry)["data"], bytes(row.salt)
    assert data["consent"] == "exact"
    assert data["mandate_digest"] == consent.mandate_digest
    assert data["consent_id"] == salted_digest(salt, consent.public_id)
    assert data["summary"] == salted_digest(salt, consent.summary)
    assert consent.public_id not in entry.entry


def test_an_absent_start_is_the_consents(world: mandates.Savings) -> None:
    earlier = datetime.now(UTC) - timedelta(minutes=14)
    consent = mandates.consent(world, now=earlier, valid_to=VALID_TO)

    row = exchange(world, request_of(world, consent))

    assert row.valid_from == earlier.replace(microsecond=0)


def test_a_start_may_be_repeated(world: mandates.Savings, consent: Consent) -> None:
    request = request_of(world, consent, valid_from=consent.details["valid_from"])

    assert exchange(world, request).consent == consent


@pytest.mark.parametrize(
    "change",
    [
        {"operation": OTHER},
        {"operation": mandates.OPERATION | {"amount": {"amount": "50.01", "currency": "USD"}}},
        {"operation": mandates.OPERATION | {"amount": {"amount": "50.00", "currency": "EUR"}}},
        {"operation": mandates.OPERATION | {"reference": "monthly savings "}},
        {"valid_to": mandates.in_days(31)},
        {"valid_to": mandates.in_days(29)},
        {"valid_from": mandates.in_days(1)},
        {"periodic_limits": None},
        {"max_occurrences": 5},
        {"max_total": {"amount": "600.00", "currency": "USD"}},
        {"max_individual_amount": {"amount": "50.00", "currency": "USD"}},
        {"schedule": "FREQ=DAILY;COUNT=3", "due_window": "PT1H"},
    ],
    ids=" ".join,  # of the members: instants differ from process to process
)
def test_a_trigger_gets_nothing_else(
    world: mandates.Savings, consent: Consent, change: dict[str, Any]
) -> None:
    with pytest.raises((ConsentMismatch, InvalidConstraints)):
        exchange(world, request_of(world, consent, **change))
    assert not OperationToken.objects.exists()
    consent.refresh_from_db()
    assert consent.spent_at is None


def test_a_consent_is_needed(world: mandates.Savings) -> None:
    refused(world, mandates.exchange_request(world), ConsentRequired)


@pytest.mark.parametrize("name", ["", "cns_", "cns_" + "0" * 32, "op_" + "0" * 32, "x" * 500, "\0"])
def test_an_unknown_consent_is_refused(world: mandates.Savings, name: str) -> None:
    refused(world, mandates.exchange_request(world, consent_id=name), ConsentNotValid)


def test_an_unconfirmed_one_buys_nothing(world: mandates.Savings) -> None:
    shown = mandates.consent(world, confirmed=False, valid_to=VALID_TO)

    refused(world, request_of(world, shown), ConsentNotValid)


@pytest.mark.parametrize(("seconds", "buys"), [(-1, True), (0, False), (1, False)])
def test_it_buys_until_it_ends(
    world: mandates.Savings, consent: Consent, seconds: int, buys: bool
) -> None:
    request, at = request_of(world, consent), consent.expires_at + timedelta(seconds=seconds)

    if buys:
        assert exchange(world, request, now=at).consent == consent
        return
    with pytest.raises(ConsentNotValid):
        exchange(world, request, now=at)
    assert not OperationToken.objects.exists()


def test_it_buys_nothing_before_it_was_shown(world: mandates.Savings, consent: Consent) -> None:
    with pytest.raises(ConsentNotValid):
        exchange(world, request_of(world, consent), now=consent.created_at - timedelta(seconds=1))


def test_it_buys_once(world: mandates.Savings, consent: Consent) -> None:
    exchange(world, request_of(world, consent))

    with pytest.raises(ConsentNotValid):
        exchange(world, request_of(world, consent))
    assert OperationToken.objects.count() == 1


def test_a_retry_gets_the_same_token_after_it_was_spent(
    world: mandates.Savings, consent: Consent
) -> None:
    request = replace(request_of(world, consent), idempotency_key="k")

    first, again = (
        exchange_access_token(by=world.trigger.client, request=request) for _ in range(2)
    )

    assert first.token == again.token
    with pytest.raises(IdempotencyMismatch):
        exchange(world, replace(request, consent_id=None))


def test_it_is_for_its_trigger_alone(world: mandates.Savings, consent: Consent) -> None:
    other = factories.service_client(
        "other", scopes=["token_exchange"], audience="https://other.example/"
    )
    world.kind.trigger_clients.add(other.client)
    subject = factories.access_token_for(world.alice, scope=mandates.META_SCOPE)
    request = replace(request_of(world, consent), subject_token=subject)

    with pytest.raises(ConsentNotValid):
        exchange_access_token(by=other.client, request=request)
    assert not OperationToken.objects.exists()


def test_one_for_the_built_in_trigger_is_for_no_other(world: mandates.Savings) -> None:
    shown = mandates.consent(world, client="", valid_to=VALID_TO)

    refused(world, request_of(world, shown), ConsentNotValid)


def test_it_is_for_its_person_alone(world: mandates.Savings, consent: Consent) -> None:
    bob = factories.bob(may_ask_for=[mandates.META_SCOPE])
    subject = factories.access_token_for(bob, scope=mandates.META_SCOPE)

    refused(world, replace(request_of(world, consent), subject_token=subject), ConsentNotValid)


def test_a_changed_type_wants_a_new_consent(world: mandates.Savings, consent: Consent) -> None:
    changed = mandates.savings_definition(consent="exact", max_lifetime_days=60)
    assert create_operation_type(definition=changed).version == 2

    refused(world, request_of(world, consent), ConsentMismatch)


def test_a_sentence_that_was_corrected_wants_a_new_consent(
    world: mandates.Savings, consent: Consent
) -> None:
    template = "{amount} {debtor_account} {creditor_account} {reference}."
    OperationType.objects.update(summary_template=template)

    refused(world, request_of(world, consent), ConsentMismatch)


def test_another_audience_of_the_executor_wants_a_new_consent(
    world: mandates.Savings, consent: Consent
) -> None:
    ServiceClient.objects.filter(client_id="savings").update(audience="https://moved.example/")
    request = replace(request_of(world, consent), target="https://moved.example/")

    refused(world, request, ConsentMismatch)


def test_somebody_disabled_gets_nothing(world: mandates.Savings, consent: Consent) -> None:
    request = request_of(world, consent)
    type(world.alice).objects.update(is_active=False)

    with pytest.raises(ProblemError):
        exchange(world, request)
    assert not OperationToken.objects.exists()


@pytest.mark.parametrize("ahead", [0, 120], ids=["now", "by a clock that went back"])
def test_a_frozen_account_buys_nothing_with_it(world: mandates.Savings, ahead: int) -> None:
    shown = datetime.now(UTC) + timedelta(seconds=ahead)
    consent = mandates.consent(world, now=shown, valid_to=VALID_TO)
    request = request_of(world, consent)

    with transaction.atomic():
        freeze_operations(user=world.alice)

    with pytest.raises(ConsentNotValid):
        exchange(world, request, now=shown + timedelta(seconds=60))
    assert not OperationToken.objects.exists()


def test_a_type_in_scope_mode_takes_none(world: mandates.Savings, consent: Consent) -> None:
    OperationType.objects.update(consent="scope")

    refused(world, request_of(world, consent), ConsentModeNotSupported)
