"""`operations list`: mandates, newest first."""

from typing import Any

from django.core.management import CommandParser
from django.db.models import OuterRef, Subquery

from accounts.management.arguments import moment, name
from accounts.management.base import ProductCommand
from accounts.models import FIRST_PARTY
from batchtokens.management.operations.selected import of_parties
from batchtokens.management.operations.verb import Verb
from batchtokens.models import OperationToken, QueuedRun, Status
from batchtokens.models.clock import database_now
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens_verifier.constraints import Amount

MOST = 1000


class ListOperations(Verb):
    """Of whom, through whom, at whom, of which type and in which state."""

    name = "list"
    help = "List operations, newest first."

    def add_options(self, parser: CommandParser) -> None:
        """Declare whose and which."""
        parser.add_argument("--user", type=name, help="a username or a usr_ id")
        parser.add_argument("--client", type=name, help=f"the trigger's name, or {FIRST_PARTY}")
        parser.add_argument("--executor", type=name, help="the executor's name")
        parser.add_argument("--type", type=name, help="an operation type's name")
        parser.add_argument("--status", choices=Status.values, help="what it is now")
        parser.add_argument("--since", type=moment, help="issued since a date, or 30d")
        parser.add_argument("--limit", type=int, default=MOST, help=f"at most so many ({MOST})")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print them."""
        now = database_now()
        found = _narrowed(OperationToken.objects.all(), options)
        if options["status"] is not None:
            found = found.with_status(options["status"], now)
        waiting = QueuedRun.objects.unfinished().filter(operation_token=OuterRef("pk"))
        found = found.select_related("user", "client", "executor").annotate(
            next_run_at=Subquery(waiting.order_by("due_at").values("due_at")[:1])
        )
        newest = found.order_by("-issued_at", "-pk")[: max(0, options["limit"])]
        command.emit([_row(token, now) for token in newest])


def _narrowed(found: OperationTokenQuerySet, options: dict[str, Any]) -> OperationTokenQuerySet:
    found = of_parties(found, options)
    if options["type"] is not None:
        found = found.filter(type_name=options["type"])
    if options["since"] is not None:
        found = found.filter(issued_at__gte=options["since"])
    return found


def _row(token: Any, now: Any) -> dict[str, Any]:
    return {
        "id": token.public_id,
        "status": token.status_at(now).value,
        "holds": " ".join(token.holds),
        "type": token.type_name,
        "user": token.user.username,
        "client": token.client_name,
        "executor": token.executor.client_id,
        "summary": token.summary,
        "currency": token.currency,
        "taken": str(Amount(token.taken_minor, token.currency)) if token.currency else "0",
        "runs": f"{token.taken_count} of {token.most_runs}",
        "next_run_at": token.next_run_at,
        "issued_at": token.issued_at,
        "valid_to": token.valid_to,
    }
