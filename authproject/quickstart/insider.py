"""What somebody could try who reads and writes the queue and holds the worker's signing secret.

The worst insider there is: everything below carries a genuine signature.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from accounts.crypto import open_sealed
from accounts.ids import parse_public_id
from authproject.quickstart.demo import Example
from batchtokens.models import QueuedRun
from batchtokens.services.queue.enqueue import seal_context
from batchtokens_verifier.client import ExecutorClient
from batchtokens_verifier.errors import ProblemError


@dataclass(frozen=True)
class Job:
    """What rests in the queue for one run, opened."""

    operation_id: str
    occurrence: str
    operation_token: str
    operation: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    code: str


class Insider:
    def __init__(self, example: Example, http: httpx.Client) -> None:
        self._example, self._http = example, http

    def open_job(self, operation_id: str) -> Job:
        """Read an operation's last run out of the queue."""
        runs = QueuedRun.objects.filter(operation_token=parse_public_id(operation_id, "op"))
        run = runs.latest("due_at")
        context = seal_context(operation_id, run.occurrence)
        opened = json.loads(open_sealed(bytes(run.sealed), context=context))
        return Job(operation_id, run.occurrence, **opened)

    def deliver(self, job: Job) -> Answer:
        """Deliver as the worker does; return what the executor said."""
        now, webhook_id = datetime.now(UTC), f"{job.operation_id}.{job.occurrence}"
        body = json.dumps(
            {
                "operation_token": job.operation_token,
                "operation": job.operation,
                "occurrence": job.occurrence,
                "attempt": 1,
            }
        )
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._example.delivery_secret).sign(webhook_id, now, body),
        }
        url = f"{self._example.url}/executor/deliveries"
        answer = self._http.post(url, content=body, headers=headers)
        return Answer(answer.status_code, str(answer.json().get("code", "")))

    def redeem(self, issuer: str, job: Job) -> Answer:
        """Redeem a run past the executor, with its own credentials; return the authority's word."""
        executor = self._example.executor
        authority = ExecutorClient(issuer, executor.client_id, executor.secret, http=self._http)
        try:
            authority.redeem(
                operation_token=job.operation_token,
                operation=job.operation,
                amount=None,
                occurrence=job.occurrence,
                idempotency_key=secrets.token_hex(16),
            )
        except ProblemError as refusal:
            return Answer(refusal.status, refusal.code)
        return Answer(httpx.codes.CREATED, "")
