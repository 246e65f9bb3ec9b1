"""What somebody can do who writes queue rows and holds the seal's key and the delivery secret.

The worst insider there is: all that is built here is genuinely sealed or signed.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
from django.contrib.auth.models import Group
from django.db.models import F
from standardwebhooks import Webhook

from accounts.crypto import open_sealed, seal
from accounts.models import SecurityEvent
from accounts.tokens.backend import sign
from batchtokens.models import OperationType, QueuedRun, RunState
from batchtokens.services.issuing.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.queue.enqueue import seal_context
from batchtokens_verifier.canonical import parameter_digest
from batchtokens_verifier.jws import Purpose
from tests import factories, mandates
from tests.tokens import claims_of

OTHER_AUDIENCE = "https://other.example/"
OTHER_META_SCOPE = "trigger_elsewhere"
EDITED: dict[str, Any] = {**mandates.OPERATION, "creditor_account": "sav-6666"}


class Job(NamedTuple):
    """What is sealed in a row."""

    operation_token: str
    operation: Mapping[str, Any]


def open_job(run: QueuedRun) -> Job:
    opened = json.loads(open_sealed(bytes(run.sealed), context=context_of(run)))
    return Job(**opened)


def put_job(run: QueuedRun, job: Job) -> None:
    """Seal a job into a row in place of its own."""
    run.sealed = seal(json.dumps(job._asdict()).encode(), context=context_of(run))
    run.save(update_fields=["sealed"])


def context_of(run: QueuedRun) -> str:
    return seal_context(run.operation_token.public_id, run.occurrence)


def make_due(run: QueuedRun) -> None:
    """Write the row as if its run were waiting, due, and its window open for an hour."""
    now = datetime.now(UTC)
    QueuedRun.objects.filter(pk=run.pk).update(
        state=RunState.PENDING,
        due_at=now,
        next_attempt_at=now,
        closes_at=now + timedelta(hours=1),
        code="",
        finished_at=None,
    )


def close(run: QueuedRun) -> None:
    """Write the row as if its window had just closed."""
    QueuedRun.objects.filter(pk=run.pk).update(closes_at=F("due_at"))


def alter(token: str) -> str:
    """Sign the token's claims with another payee in them, with the authority's own key."""
    claims = claims_of(token)
    claims["parameter_digest"] = parameter_digest(EDITED)
    claims["authorization_details"][0]["operation"] = EDITED
    return sign(claims, purpose=Purpose.OPERATION).token


def deliver(
    url: str, job: Job, *, secret: str, webhook_id: str, occurrence: str, attempt: int = 1
) -> httpx.Response:
    """Post a delivery as the worker does."""
    now = datetime.now(UTC)
    body = json.dumps({**job._asdict(), "occurrence": occurrence, "attempt": attempt})
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, now, body),
    }
    return httpx.post(url, content=body, headers=headers, timeout=20)


def codes_recorded_for(webhook_id: str) -> list[str]:
    """Return the code of each refusal of this run that the authority recorded."""
    refused = SecurityEvent.objects.filter(outcome="refused", data__run__startswith=webhook_id)
    return [event.code for event in refused for _ in range(event.count)]


def token_for_another(world: mandates.Savings) -> str:
    """Get Alice's token for the same operation at another executor than `savings`."""
    type_name = "savings.elsewhere"
    if not OperationType.objects.filter(name=type_name).exists():
        factories.service_client("another", scopes=["redeem"], audience=OTHER_AUDIENCE)
        kind = {"name": type_name, "meta_scope": OTHER_META_SCOPE, "executor": "another"}
        create_operation_type(definition=mandates.savings_definition(**kind))
    world.alice.groups.add(Group.objects.get_or_create(name=OTHER_META_SCOPE)[0])
    subject = factories.access_token_for(
        world.alice, scope=OTHER_META_SCOPE, audience=mandates.TRIGGER_AUDIENCE
    )
    details = {"type": type_name, "operation": mandates.OPERATION, **mandates.constraints()}
    request = ExchangeRequest(subject, OTHER_AUDIENCE, "savings.deposit", details)
    return exchange_access_token(by=world.trigger.client, request=request).token
