"""Batches of redemptions over HTTP: what is sent, and how its answer is read."""

from __future__ import annotations

import json
from typing import Any

from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from tests.rest import REDEMPTIONS, Caller, job

BATCH = f"{REDEMPTIONS}/batch"
NDJSON = "application/x-ndjson"


def line(issued: Issued, key: str, **changes: Any) -> dict[str, Any]:
    """Return a redemption's body with its key, as a line holds it."""
    return {"idempotency_key": key} | job(issued, **changes)


def send(executor: Caller, *lines: Any, **headers: str) -> Any:
    """Post lines: values as JSON, bytes as they are."""
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines]
    sent = {**executor.headers, **headers}
    return executor.client.post(BATCH, b"\n".join(texts), NDJSON, headers=sent)


def answers(answer: Any) -> list[Any]:
    """Return the answered lines of a batch that was taken."""
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"] == NDJSON
    return [json.loads(each) for each in answer.content.decode().splitlines()]


def verdicts(read: list[Any]) -> list[tuple[int, str]]:
    """Return each line's status and code, or what its redemption is."""
    return [(each["http_status"], each.get("code", each["status"])) for each in read]


def whole_ledger() -> bool:
    return not [findings for _, findings in verify_ledger() if findings]
