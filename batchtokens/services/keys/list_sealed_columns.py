"""Name everything of batchtokens that rests sealed: what the queue carries, above all."""

from typing import Any

from accounts.models.sealed import SealedColumn
from batchtokens.models import OperationToken, QueuedRun, RunState
from batchtokens.services.issuing.kept_tokens import kept_token_context
from batchtokens.services.issuing.signatures import claims_context
from batchtokens.services.queue.enqueue import seal_context


def list_sealed_columns() -> list[SealedColumn]:
    """Return the columns; runs that are done open nothing any more."""
    runs = QueuedRun.objects.exclude(state=RunState.DONE).select_related("operation_token")
    tokens = OperationToken.objects.all()
    return [
        SealedColumn("queued-runs", runs, "sealed", _context_of_run),
        SealedColumn("retried-exchanges", tokens, "sealed_token", _context_of_token),
        SealedColumn("signed-claims", tokens, "claims_sealed", _context_of_claims),
    ]


def _context_of_run(run: Any) -> str:
    return seal_context(run.operation_token.public_id, run.occurrence)


def _context_of_token(token: Any) -> str:
    return kept_token_context(token.public_id)


def _context_of_claims(token: Any) -> str:
    return claims_context(token.public_id)
