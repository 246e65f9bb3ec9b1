"""`operations run_due`: deliver what is due once, now, as a worker does."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import PartialFailure, ProductCommand, UsageError
from batchtokens.management.operations.verb import Verb
from batchtokens.management.worker import Worker
from batchtokens.models import QueuedRun, RunState
from batchtokens.models.clock import database_now
from batchtokens.services.queue.dispatch import waiting_runs

POLL = 0.1  # seconds; with `once` nobody waits for it
MOST_THREADS = 64


class RunDue(Verb):
    """The embedded worker, until nothing is due."""

    name = "run_due"
    help = "Deliver due runs once, now."

    def add_options(self, parser: CommandParser) -> None:
        """Declare threads, and a look without touching."""
        parser.add_argument("--threads", type=int, default=4, help="deliveries at a time")
        parser.add_argument("--dry-run", action="store_true", help="only list what is due")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print how many ended in which state; exit 5 where not all are done."""
        if not 1 <= options["threads"] <= MOST_THREADS:
            raise UsageError(f"--threads must be between 1 and {MOST_THREADS}.")
        if options["dry_run"]:
            runs = waiting_runs(database_now()).select_related("operation_token")
            command.emit([_row(run) for run in runs.order_by("next_attempt_at")])
            return
        outcomes = Worker(threads=options["threads"], poll=POLL, once=True).run()
        states = (RunState.DONE, RunState.PENDING, RunState.DEAD)
        command.emit_one({"id": "due", **{state.value: outcomes[state] for state in states}})
        if failed := sum(outcomes.values()) - outcomes[RunState.DONE]:
            raise PartialFailure(f"{failed} of {sum(outcomes.values())} were not delivered.")


def _row(run: QueuedRun) -> dict[str, Any]:
    return {
        "id": run.webhook_id,
        "state": run.state,
        "due_at": run.due_at,
        "closes_at": run.closes_at,
        "attempts": run.attempts,
    }
