"""Mandates for tests: Alice lets `trigger` have the executor `savings` move her money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from accounts.models import ServiceClient, User
from accounts.services.create_service_client import NewServiceClient
from batchtokens.models import OperationType
from batchtokens.services.create_operation_type import create_operation_type
from batchtokens.services.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.issue import Issued
from batchtokens.services.redeem import RedemptionAnswer, RedemptionRequest, redeem_operation_token
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
    world: Savings, *, operation: Mapping[str, Any] = OPERATION, **limits: Any
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
    )


def issue(world: Savings, *, operation: Mapping[str, Any] = OPERATION, **limits: Any) -> Issued:
    """Exchange a fresh access token of Alice's for an operation token."""
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
