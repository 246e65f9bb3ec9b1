"""Mandates for tests: Alice lets `trigger` have the executor `savings` move her money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from accounts.models import FIRST_PARTY, ServiceClient, User
from accounts.services.create_service_client import NewServiceClient
from accounts.tokens.access import Grant
from batchtokens.models import Consent, ConsentMode, OperationType
from batchtokens.services.consent.preview_operation import MandateRequest
from batchtokens.services.consent.request_consent import request_consent
from batchtokens.services.consent.vouch_for_consent import vouch_for_consent
from batchtokens.services.issuing.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.redemption.redeem import (
    RedemptionAnswer,
    RedemptionRequest,
    redeem_operation_token,
)
from batchtokens_verifier.constraints import Amount, format_instant
from tests import factories

META_SCOPE = "trigger_continuous_savings"
TRIGGER_AUDIENCE = "https://trigger.example/"
EXECUTOR_AUDIENCE = "https://savings.example/"
OPERATION = {
    "action": "savings.deposit",
    "amount": {"amount": "50.00", "currency": "USD"},
    "creditor_account": "sav-7781",
    "debtor_account": "chk-1042",
    "reference": "monthly savings",
}
DEFINITION = Path(__file__).parent.parent / "examples/savings/savings.deposit.json"


@dataclass(frozen=True)
class Savings:
    """Everyone in the main flow."""

    alice: User
    trigger: NewServiceClient
    executor: NewServiceClient
    kind: OperationType

    @property
    def redeemer(self) -> ServiceClient:
        return self.executor.client


def savings(**definition: Any) -> Savings:
    """Store the people, clients and the operation type of the main flow."""
    trigger = factories.service_client(
        "trigger", scopes=["token_exchange"], audience=TRIGGER_AUDIENCE
    )
    executor = factories.service_client(
        "savings",
        scopes=["redeem"],
        audience=EXECUTOR_AUDIENCE,
        delivery_url="https://savings.example/deliveries",
    )
    kind = create_operation_type(definition=savings_definition(**definition))
    return Savings(factories.alice(may_ask_for=[META_SCOPE]), trigger, executor, kind)


def exact(**definition: Any) -> Savings:
    """Store the same world with a type that wants each operation confirmed."""
    return savings(consent="exact", **definition)


def savings_definition(**changes: Any) -> dict[str, Any]:
    """Return the example's own definition, for this file's clients; the amount may be left open."""
    definition: dict[str, Any] = json.loads(DEFINITION.read_text())
    definition["schema"]["required"].remove("amount")
    clients = {"executor": "savings", "trigger_clients": ["trigger"]}
    return definition | clients | changes


def in_days(days: float) -> str:
    return format_instant((datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0))


def constraints(**changes: Any) -> dict[str, Any]:
    """Return the limits of one deposit a day for a month; None leaves a member out."""
    limit = {
        "period_type": "day",
        "period_alignment": "consent",
        "time_zone": "UTC",
        "amount": "50.00",
        "currency": "USD",
        "max_count": 1,
    }
    members = {"valid_to": in_days(30), "periodic_limits": [limit]} | changes
    return {name: value for name, value in members.items() if value is not None}


def subject_token(world: Savings, *, scope: str = f"{META_SCOPE} profile", **how: Any) -> str:
    return factories.access_token_for(world.alice, scope=scope, audience=TRIGGER_AUDIENCE, **how)


def exchange_request(
    world: Savings,
    *,
    operation: Mapping[str, Any] = OPERATION,
    consent_id: str | None = None,
    **limits: Any,
) -> ExchangeRequest:
    details = {
        "type": "savings.deposit",
        "operation": dict(operation),
        **constraints(**limits),
    }
    return ExchangeRequest(
        subject_token=subject_token(world),
        target=EXECUTOR_AUDIENCE,
        scope="savings.deposit",
        details=details,
        consent_id=consent_id,
    )


def grant_of(person: User, *scope: str) -> Grant:
    """Return what a first-party app's token of this person grants."""
    granted = frozenset(scope or (META_SCOPE, "profile"))
    return Grant(subject=person, scope=granted, client_id=FIRST_PARTY, audience=settings.ISSUER_URL)


def consent(
    world: Savings,
    *,
    operation: Mapping[str, Any] = OPERATION,
    client: str = "trigger",
    confirmed: bool = True,
    now: datetime | None = None,
    **limits: Any,
) -> Consent:
    """Show Alice a mandate; she confirms it, without the trouble of a code."""
    asked = MandateRequest("savings.deposit", operation, constraints(**limits), client)
    shown = request_consent(by=grant_of(world.alice), request=asked, now=now)
    if confirmed:
        shown.confirmed_at, shown.confirmed_with = shown.created_at, "otp"
        vouch_for_consent(shown)
        shown.save(update_fields=["confirmed_at", "confirmed_with", "confirmation_mac"])
    return shown


def issue(world: Savings, *, operation: Mapping[str, Any] = OPERATION, **limits: Any) -> Issued:
    """Exchange a fresh access token of Alice's for an operation token; consent where it takes one.

    A given `consent_id` is the one that is sent.
    """
    if world.kind.consent == ConsentMode.EXACT and "consent_id" not in limits:
        limits |= {"valid_to": limits.get("valid_to", in_days(30))}
        shown = consent(world, operation=operation, **limits)
        limits["consent_id"] = shown.public_id
    request = exchange_request(world, operation=operation, **limits)
    return exchange_access_token(by=world.trigger.client, request=request)


def redeem(
    world: Savings,
    issued: Issued,
    key: str = "run-1",
    *,
    operation: Mapping[str, Any] = OPERATION,
    amount: Amount | None = None,
    occurrence: str | None = None,
    now: datetime | None = None,
) -> RedemptionAnswer:
    """Redeem as the executor."""
    request = RedemptionRequest(issued.token, operation, amount, occurrence)
    return redeem_operation_token(by=world.redeemer, request=request, idempotency_key=key, now=now)
