"""`operations show`: one mandate, with its limits, runs and history."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand
from batchtokens.management.operations.named import operation_named
from batchtokens.management.operations.verb import Verb
from batchtokens.models import LedgerEntry, OperationToken, QueuedRun, Redemption
from batchtokens.models.clock import database_now
from batchtokens_verifier.constraints.terms import CONSTRAINT_MEMBERS


class ShowOperation(Verb):
    """JSON nests the parts; a table or CSV has one line for each of their members."""

    name = "show"
    help = "Show one operation: facts, limits, runs and timeline."

    def add_options(self, parser: CommandParser) -> None:
        """Declare which."""
        parser.add_argument("id", metavar="ID", help="an op_ id")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print it."""
        shown = shown_operation(operation_named(options["id"]), database_now())
        if command.quiet or command.output_format in ("json", "ndjson"):
            command.emit_one(shown)
        else:
            command.emit(list(_lines(shown)))


def shown_operation(token: OperationToken, now: datetime) -> dict[str, Any]:
    """Return what an operator may see: no salt, no token, nothing sealed."""
    return {
        "id": token.public_id,
        "status": token.status_at(now).value,
        "summary": token.summary,
        "facts": _facts(token),
        "operation": json.loads(token.operation),
        "limits": {m: token.details[m] for m in sorted(CONSTRAINT_MEMBERS & set(token.details))},
        "lowered": token.lowered,
        "used": {
            "taken": token.taken_count,
            "settled": token.settled_count,
            "of": token.most_runs,
            "taken_minor": token.taken_minor,
            "currency": token.currency,
        },
        "runs": [_run(r, now) for r in Redemption.objects.filter(operation_token=token)],
        "queue": [_queued(run) for run in _by_due_time(token)],
        "timeline": [_entry(entry) for entry in _newest_first(token)],
    }


def _facts(token: OperationToken) -> dict[str, Any]:
    return {
        "type": token.type_name,
        "version": token.operation_type.version,
        "user": token.user.username,
        "client": token.client_name,
        "executor": token.executor.client_id,
        "holds": token.holds,
        "consent": token.consent.public_id if token.consent else token.consent_mode,
        "issued_at": token.issued_at,
        "valid_from": token.valid_from,
        "valid_to": token.valid_to,
        "cancelled_at": token.cancelled_at,
        "parameter_digest": token.parameter_digest,
        "token": token.token_hash,
        "jws_digest": token.jws_digest,
        "kid": token.kid,
        "alg": token.alg,
        "ledger_head": token.head_hash,
    }


def _run(redemption: Redemption, now: datetime) -> dict[str, Any]:
    return {
        "slot": redemption.slot,
        "status": redemption.status_at(now).value,
        "amount": str(redemption.amount),
        "currency": redemption.currency,
        "attempt": redemption.attempt,
        "reserved_at": redemption.reserved_at,
        "settled_at": redemption.settled_at,
        "reference": redemption.reference,
        "id": redemption.pk,
    }


def _by_due_time(token: OperationToken) -> Any:
    return QueuedRun.objects.filter(operation_token=token).order_by("due_at")


def _queued(run: QueuedRun) -> dict[str, Any]:
    return {
        "occurrence": run.occurrence,
        "state": run.state,
        "due_at": run.due_at,
        "attempts": run.attempts,
        "next_attempt_at": run.next_attempt_at,
        "code": run.code,
    }


def _newest_first(token: OperationToken) -> Any:
    return LedgerEntry.objects.filter(operation_token=token).order_by("-seq")


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    return {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "note": entry.note}


def _lines(shown: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part, value in shown.items():
        if isinstance(value, dict):
            yield from ({"part": part, "name": n, "value": _text(v)} for n, v in value.items())
        elif isinstance(value, list):
            for row in value:
                head, *rest = row.items()
                told = ", ".join(f"{name} {_text(v)}" for name, v in rest if v not in (None, ""))
                yield {"part": part, "name": _text(head[1]), "value": told}
        else:
            yield {"part": "facts", "name": part, "value": value}


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
