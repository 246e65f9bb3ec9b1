"""`operations missed`: due occurrences that nothing came of."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import duration, moment, name
from accounts.management.base import Findings, ProductCommand
from batchtokens.management.operations.named import executor_named
from batchtokens.management.operations.verb import Verb
from batchtokens.services.mandates.occurrences import GRACE
from batchtokens.services.reports.find_missed import Found, Search, find_occurrences


class ListMissed(Verb):
    """Exit 6 where there is one, so that a monitor need not read."""

    name = "missed"
    help = "List due occurrences whose window closed and that nothing came of; exit 6 if any."

    def add_options(self, parser: CommandParser) -> None:
        """Declare since when and at whom."""
        parser.add_argument("--since", type=moment, help="closed since a date, or 30d")
        parser.add_argument("--executor", type=name, help="the executor's name")
        parser.add_argument(
            "--grace", type=duration, default=GRACE, help="time after a window's end (1h)"
        )

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print them, by mandate."""
        executor = executor_named(options["executor"]) if options["executor"] else None
        search = Search(since=options["since"], executor=executor, grace=options["grace"])
        rows = [_row(found) for page in find_occurrences(search) for found in page]
        command.emit(rows)
        if rows:
            raise Findings(f"{len(rows)} occurrences were missed.")


def _row(found: Found) -> dict[str, Any]:
    token, slot = found.token, found.occurrence.slot
    return {
        "id": found.name,
        "operation": token.public_id,
        "slot": slot.name,
        "executor": token.executor.client_id,
        "type": token.type_name,
        "due_at": slot.opens_at,
        "closed_at": slot.closes_at,
        "currency": token.currency,
        "amount_minor": token.amount_minor,
    }
