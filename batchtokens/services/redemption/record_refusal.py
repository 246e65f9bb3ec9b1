"""Record a refused run once: the authority's and the executor's word on an attempt are one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.models import ServiceClient
from accounts.services.record_event import record_event, record_events_once
from batchtokens_verifier.canonical import digest
from batchtokens_verifier.errors import ProblemError


def record_refusal(
    refusal: ProblemError | str, *, by: ServiceClient | None, correlation: str
) -> None:
    """Store an event with the refusal's code; `correlation` is the attempt's idempotency key.

    A second word on the same attempt is ignored. A transaction that rolls back forgets it.
    """
    record_event(client=by, **_event(refusal, by, correlation))


def record_refusals(refusals: Mapping[str, ProblemError], *, by: ServiceClient) -> None:
    """Do the same for many of one client, by their idempotency keys, in one statement."""
    record_events_once([_event(refusal, by, key) for key, refusal in refusals.items()], client=by)


def _event(
    refusal: ProblemError | str, by: ServiceClient | None, correlation: str
) -> dict[str, Any]:
    attempt = f"{by.client_id if by else ''}:{correlation}"
    return {
        "code": refusal if isinstance(refusal, str) else refusal.code,
        "outcome": "refused",
        "correlation": digest(attempt.encode()),  # a key may be longer than the column
        "data": {"run": correlation},
    }
