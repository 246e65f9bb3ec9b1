"""Callers of the REST interface: each sends its own credential with everything it asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.test import Client

from accounts.models import User
from accounts.services.create_service_client import NewServiceClient
from batchtokens.models import Redemption, RedemptionAttempt
from batchtokens.services.issuing.issue import Issued
from tests import factories, mandates
from tests.guards import as_insider

JSON = "application/json"
OPERATIONS = "/api/v1/operations"
QUEUE = "/api/v1/queue"
REDEMPTIONS = "/api/v1/redemptions"
CONSENTS = f"{OPERATIONS}/consents"


@dataclass(frozen=True)
class Caller:
    """Somebody with a credential."""

    headers: Mapping[str, str]
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(path, query, headers=self.headers)

    def post(self, path: str, body: Any = None, *, key: str = "", **headers: str) -> Any:
        """Post JSON: text and bytes as they are; `key` is the Idempotency-Key."""
        sent = {**self.headers, **headers, **({"Idempotency-Key": key} if key else {})}
        return self.client.post(path, {} if body is None else body, JSON, headers=sent)


def person(
    user: User, *, scope: str = f"{mandates.META_SCOPE} profile account", **how: Any
) -> Caller:
    """Return a caller with an access token of a first-party app's (see `session_family`)."""
    return Caller(factories.bearer(factories.access_token_for(user, scope=scope, **how)))


def machine(new: NewServiceClient) -> Caller:
    """Return a caller that authenticates as this service client."""
    return Caller(factories.basic(new.client, new.secret))


def code_of(answer: Any) -> tuple[int, str]:
    """Return the status and the problem's code."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]


def same_words(problem: Mapping[str, object]) -> dict[str, object]:
    """Leave out the one member in which two requests' problems always differ."""
    return {name: value for name, value in problem.items() if name != "request_id"}


def pointers_of(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def operation_body(**changes: Any) -> dict[str, Any]:
    """Return what a first-party app posts to ask for a mandate."""
    return {
        "type": "savings.deposit",
        "operation": mandates.OPERATION,
        "constraints": mandates.constraints(),
    } | changes


def show_consent(caller: Caller, **changes: Any) -> dict[str, Any]:
    """Let a person be shown what they would sign; return the consent."""
    answer = caller.post(CONSENTS, operation_body(**changes))
    assert answer.status_code == 201, answer.content
    consent: dict[str, Any] = answer.json()
    return consent


def confirm(caller: Caller, consent: Mapping[str, Any], code: str, **changes: Any) -> Any:
    body = {"otp": code, "mandate_digest": consent["mandate_digest"]} | changes
    return caller.post(f"{CONSENTS}/{consent['id']}/confirm", body)


def ask(caller: Caller, *, key: str = "") -> str:
    """Ask for a mandate; return its path."""
    answer = caller.post(OPERATIONS, operation_body(), key=key)
    assert answer.status_code == 201, answer.content
    return f"{OPERATIONS}/{answer.json()['id']}"


def job(issued: Issued, **changes: Any) -> dict[str, Any]:
    """Return what rests in a queue."""
    return {"operation_token": issued.token, "operation": mandates.OPERATION} | changes


def redeem(executor: Caller, issued: Issued, key: str = "run-1", **changes: Any) -> Any:
    return executor.post(REDEMPTIONS, job(issued, **changes), key=key)


def end_leases() -> None:
    """Move the leases that run into the past."""
    past = settings.REDEMPTION_LEASE + timedelta(seconds=1)
    with as_insider():
        for model in (Redemption, RedemptionAttempt):
            model.objects.update(lease_expires_at=F("lease_expires_at") - past)
