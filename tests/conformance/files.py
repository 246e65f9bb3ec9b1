"""Which vectors stand in which file of docs/vectors/."""

from collections.abc import Callable
from typing import Any

from tests.conformance.deliveries import SECRET, deliveries
from tests.conformance.evidence import GATEWAY, TRIGGER, cancellations, introspections
from tests.conformance.ledgers import checkpoints
from tests.conformance.operation_tokens import operation_tokens
from tests.conformance.others import (
    API,
    CLIENT,
    access_tokens,
    receipts,
)
from tests.conformance.status_lists import status_lists
from tests.conformance.vectors import as_text, document

EXECUTOR = {"operation_types": ["savings.deposit"]}
FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "operation-tokens": lambda: document(operation_tokens(), **EXECUTOR),
    "status-lists": lambda: document(status_lists(), **EXECUTOR),
    "access-tokens": lambda: document(access_tokens(), audience=API),
    "receipts": lambda: document(receipts(), audience=CLIENT),
    "cancellations": lambda: document(cancellations(), audience=TRIGGER),
    "introspections": lambda: document(introspections(), audience=GATEWAY),
    "deliveries": lambda: document(deliveries(), secret=SECRET, **EXECUTOR),
    "checkpoints": lambda: document(checkpoints()),
}


def as_written(name: str) -> str:
    """Return the text of the file `name`."""
    return as_text(FILES[name]())
