"""What hold, resume and cancel have in common: which operations, why, and who decides.

Each operation is a transaction of its own: a refusal does not stop the others.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.base import PartialFailure, ProductCommand, Refused, UsageError
from batchtokens.management.decisions import operator, reason_given
from batchtokens.management.operations.named import operation_named
from batchtokens.management.operations.verb import Verb
from batchtokens.models import HoldKind, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.hold import check_changeable
from batchtokens_verifier.errors import ProblemError

MOST = 100


class ChangeVerb(Verb):
    """Base of the three; `done` is what an operation then is."""

    destructive = True
    done: ClassVar[str]
    service: ClassVar[Callable[..., OperationToken]]

    def speaks_as(self, options: dict[str, Any]) -> HoldKind:
        """Say whose decision it is."""
        return HoldKind.STAFF

    def check(self, token: OperationToken, at: datetime, by: HoldKind) -> None:
        """Raise where `service` would refuse."""
        check_changeable(token, at)

    def add_options(self, parser: CommandParser) -> None:
        """Declare which, and who decides."""
        parser.add_argument("ids", metavar="ID", nargs="+", type=name, help="op_ ids")
        parser.add_argument(
            "--operator", type=name, help="who decides (default: the account that runs this)"
        )

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Ask, change each, and print what became of each."""
        reason = reason_given(options["reason"])
        if len(options["ids"]) > MOST:
            raise UsageError(f"At most {MOST} operations at once.")
        tokens = [operation_named(each) for each in dict.fromkeys(options["ids"])]
        actor = operator(options["operator"])
        if not options["dry_run"]:
            command.confirm(f"{self.name.capitalize()} {len(tokens)}?", yes=options["yes"])
        decided = {"by": self.speaks_as(options), "actor": actor, "reason": reason}
        rows = [self._one(token, decided, dry=options["dry_run"]) for token in tokens]
        command.emit(rows)
        _conclude([str(row["refused"]) for row in rows if row["refused"]], len(rows))

    def _one(self, token: OperationToken, decided: dict[str, Any], *, dry: bool) -> dict[str, Any]:
        refused = ""
        try:
            if dry:
                self.check(token, database_now(), decided["by"])
            else:
                token = type(self).service(operation_id=token.pk, **decided)
        except ProblemError as refusal:
            refused = refusal.code
        status = token.status_at(database_now()).value
        done = "" if refused else f"would be {self.done}" if dry else self.done
        return {"id": token.public_id, "done": done, "refused": refused, "status": status}


def _conclude(refusals: list[str], count: int) -> None:
    """Raise Refused where all were, PartialFailure where some were."""
    if not refusals:
        return
    told = ", ".join(sorted(set(refusals)))
    if len(refusals) == count:
        raise Refused(f"Nothing was changed: {told}.")
    raise PartialFailure(f"{len(refusals)} of {count} were refused: {told}.")
