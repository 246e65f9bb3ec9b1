"""Record a refused run once: the authority's and the executor's word on an attempt are one."""

from __future__ import annotations

from accounts.models import ServiceClient
from accounts.services.record_event import record_event
from batchtokens_verifier.canonical import digest
from batchtokens_verifier.errors import ProblemError


def record_refusal(
    refusal: ProblemError | str, *, by: ServiceClient | None, correlation: str
) -> None:
    """Store an event with the refusal's code; `correlation` is the attempt's idempotency key.

    A second word on the same attempt is ignored. A transaction that rolls back forgets it.
    """
    code = refusal if isinstance(refusal, str) else refusal.code
    attempt = f"{by.client_id if by else ''}:{correlation}"
    record_event(
        code=code,
        outcome="refused",
        client=by,
        correlation=digest(attempt.encode()),  # a key may be longer than the column
        data={"run": correlation},
    )
