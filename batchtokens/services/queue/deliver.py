"""Deliver one claimed run to its executor over HTTP, signed by Standard Webhooks 1.0.

No transaction is open meanwhile, and nothing of the answer is believed but its status and its code.
"""

from __future__ import annotations

import json
import re
import time

import httpx
from django.conf import settings
from standardwebhooks import Webhook

from accounts.crypto import open_sealed
from accounts.errors import SealBroken
from batchtokens.models import QueuedRun, RunState
from batchtokens.services.queue.dispatch import Outcome, claimed_at, finish_run
from batchtokens.services.queue.enqueue import seal_context
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import (
    ExecutorStopped,
    InvalidOperation,
    OperationHeld,
    OperationRevoked,
)

# 4xx that ask for another try; every other 4xx but a hold's is the executor's last word.
RETRIED = frozenset({408, 425, 429})
# A hold may be lifted, and an executor started again, inside the window (ADR 0008). An executor may
# see a hold as INVALID in its status list, as it sees a cancel: `finish_run` tells them apart.
_LIFTED = frozenset({OperationHeld.code, OperationRevoked.code, ExecutorStopped.code})
LONGEST_ANSWER = 64 * 1024
_CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")
NOT_VALID = "queued_run_not_valid"
NOT_CONFIGURED = "delivery_not_configured"
NOT_REACHED = "executor_unavailable"


def deliver_run(run: QueuedRun, *, http: httpx.Client) -> Outcome:
    """Send the run and store what became of it."""
    outcome = _send(run, http)
    finish_run(run, outcome)
    return outcome


def _send(run: QueuedRun, http: httpx.Client) -> Outcome:
    executor = run.operation_token.executor
    try:
        body, secret = _body(run), executor.delivery_secret()
    except SealBroken:
        return Outcome(RunState.DEAD, NOT_VALID)
    if not (executor.delivery_url and secret):
        return Outcome(RunState.PENDING, NOT_CONFIGURED)
    headers = _headers(run, body, secret)
    until = time.monotonic() + settings.DELIVERY_TIMEOUT.total_seconds()
    try:
        with http.stream("POST", executor.delivery_url, content=body, headers=headers) as response:
            return _outcome(response.status_code, _read(response, until))
    except httpx.HTTPError:
        return Outcome(RunState.PENDING, NOT_REACHED)


def _body(run: QueuedRun) -> bytes:
    context = seal_context(run.operation_token.public_id, run.occurrence)
    opened = json.loads(open_sealed(bytes(run.sealed), context=context))
    return json.dumps({**opened, "occurrence": run.occurrence, "attempt": run.attempts}).encode()


def _headers(run: QueuedRun, body: bytes, secret: str) -> dict[str, str]:
    # The database's clock: this machine's may be off by more than executors let pass.
    now = claimed_at(run)
    return {
        # Never compressed: a small answer could unfold into a large one.
        "accept-encoding": "identity",
        "content-type": "application/json",
        "webhook-id": run.webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(run.webhook_id, now, body.decode()),
    }


def _read(response: httpx.Response, until: float) -> bytes:
    """Read at most LONGEST_ANSWER bytes, until the time limit; the rest is of no interest.

    The limit began with the request. Before the body, each step has DELIVERY_TIMEOUT of its own
    (to connect, TLS, to send, to the next piece of the headers, of which h11 takes 100 kB), so
    DELIVERY_LEASE is to be more than five of them; whoever drips headers longer only has another
    worker deliver again.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        return b""
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > LONGEST_ANSWER or time.monotonic() > until:
            break
    return content[:LONGEST_ANSWER]


def _outcome(status: int, content: bytes) -> Outcome:
    if status == httpx.codes.OK:
        return Outcome(RunState.DONE)
    code = _code(content, status)
    retried = status in RETRIED or code in _LIFTED
    final = 400 <= status < 500 and not retried
    return Outcome(RunState.DEAD if final else RunState.PENDING, code)


def _code(content: bytes, status: int) -> str:
    """Return the answer's problem code where it looks like one, else the status."""
    try:
        problem = parse_json(content)
    except InvalidOperation:
        problem = None
    code = problem.get("code") if isinstance(problem, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else f"http_{status}"


def delivery_client() -> httpx.Client:
    """Return a client for deliveries: short timeouts, no redirects, no proxy of the environment."""
    return httpx.Client(
        timeout=settings.DELIVERY_TIMEOUT.total_seconds(), follow_redirects=False, trust_env=False
    )
