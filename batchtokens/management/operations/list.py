"""`operations list`: mandates, newest first."""

import argparse
from typing import Any

from django.core.management import CommandParser
from django.db.models import OuterRef, Subquery

from accounts.management.arguments import moment
from accounts.management.base import ProductCommand
from batchtokens.management.operations.selected import add_selection, narrowed
from batchtokens.management.operations.verb import Verb
from batchtokens.models import OperationToken, QueuedRun, Status
from batchtokens.models.clock import database_now
from batchtokens_verifier.constraints import Amount

MOST = 1000


class ListOperations(Verb):
    """Of whom, through whom, at whom, of which type and in which state."""

    name = "list"
    help = "List operations, newest first."

    def add_options(self, parser: CommandParser) -> None:
        """Declare whose and which."""
        add_selection(parser)
        parser.add_argument("--status", choices=Status.values, help="what it is now")
        parser.add_argument("--since", type=moment, help="issued since a date, or 30d")
        parser.add_argument("--limit", type=a_limit, default=MOST, help=f"at most so many ({MOST})")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print them."""
        now = database_now()
        found = narrowed(OperationToken.objects.all(), options)
        if options["since"] is not None:
            found = found.filter(issued_at__gte=options["since"])
        if options["status"] is not None:
            found = found.with_status(options["status"], now)
        waiting = QueuedRun.objects.unfinished().filter(operation_token=OuterRef("pk"))
        found = found.select_related("user", "client", "executor").annotate(
            next_run_at=Subquery(waiting.order_by("due_at").values("due_at")[:1])
        )
        newest = found.order_by("-issued_at", "-pk")[: options["limit"]]
        row = _brief_row if command.output_format == "table" else _row
        command.emit([row(token, now) for token in newest])


def a_limit(text: str) -> int:
    """Read how many to list at most."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at most nine digits")
    return int(text)


def _brief_row(token: Any, now: Any) -> dict[str, Any]:
    """Return the columns that a terminal has room for; `show` tells the rest of one."""
    held = f" ({', '.join(token.holds)})" if token.holds else ""
    due = token.next_run_at
    return {
        "id": token.public_id,
        "status": f"{token.status_at(now)}{held}",
        "runs": f"{token.taken_count} of {token.most_runs}",
        "next_run_at": f"{due:%Y-%m-%d %H:%M} UTC" if due else "",
        "type": token.type_name,
        "user": token.user.username,
    }


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
