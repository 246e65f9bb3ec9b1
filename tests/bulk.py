"""Bulk issues in tests: lines as a file has them, issued in this process."""

from __future__ import annotations

import json
from typing import Any

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.services.issuing.bulk_lines import NumberedText
from batchtokens.services.issuing.issue_in_bulk import BulkOutcome, Destination, issue_in_bulk
from tests import mandates

HAND_OUT, QUEUE = Destination(hand_out=True), Destination(queue=True)


def line(**changes: Any) -> dict[str, Any]:
    """Return a line of the main flow; None leaves a member out."""
    members = {
        "user": "alice",
        "type": "savings.deposit",
        "client": "trigger",
        "operation": mandates.OPERATION,
        "constraints": mandates.constraints(),
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def issue(*lines: dict[str, Any] | bytes, to: Destination = HAND_OUT) -> list[BulkOutcome]:
    """Issue these lines with keys to sign with; bytes are a line as it stands."""
    ensure_signing_keys()
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines]
    numbered = [NumberedText(number, text) for number, text in enumerate(texts, 1)]
    chunks = issue_in_bulk(numbered, to=to, file_digest="digest")
    return [outcome for chunk in chunks for outcome in chunk]


def codes(outcomes: list[BulkOutcome]) -> list[str]:
    """Return each line's code, or its status where nothing is wrong."""
    return [each.error.code if each.error else each.status.value for each in outcomes]
