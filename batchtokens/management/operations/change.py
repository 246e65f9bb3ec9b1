"""What hold, resume and cancel have in common: which operations, why, and who decides.

Those that are named are a transaction each, so that a refusal does not stop the others; of those
that are selected by what they concern, a thousand are one.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, ClassVar

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.base import (
    NothingMatched,
    PartialFailure,
    ProductCommand,
    Refused,
    UsageError,
)
from accounts.management.named import operator
from batchtokens.management.decisions import add_operator, reason_given
from batchtokens.management.operations.named import operation_named
from batchtokens.management.operations.selected import (
    NARROWING,
    add_selection,
    count_where,
    is_selecting,
    selected,
)
from batchtokens.management.operations.verb import Verb
from batchtokens.models import HoldKind, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.mandates.hold import check_changeable
from batchtokens.services.mandates.words import Words
from batchtokens_verifier.errors import ProblemError

MOST = 100


class ChangeVerb(Verb):
    """Base of the three; `done` is what an operation then is."""

    destructive = True
    done: ClassVar[str]
    service: ClassVar[Callable[..., OperationToken]]
    services: ClassVar[Callable[..., Iterator[int]]]

    def speaks_as(self, options: dict[str, Any]) -> HoldKind:
        """Say whose decision it is."""
        return HoldKind.STAFF

    def check(self, token: OperationToken, at: datetime, by: HoldKind) -> None:
        """Raise where `service` would refuse."""
        check_changeable(token, at)

    def concerns(self, token: OperationToken, at: datetime, by: HoldKind) -> bool:
        """Say whether `services` would change it."""
        try:
            self.check(token, at, by)
        except ProblemError:
            return False
        return True

    def add_options(self, parser: CommandParser) -> None:
        """Declare which, and who decides."""
        parser.add_argument("ids", metavar="ID", nargs="*", type=name, help="op_ ids")
        add_selection(parser)
        add_operator(parser)

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Ask, change them, and print what became of them."""
        if is_selecting(options) == bool(options["ids"]):
            narrowing = ", ".join(f"--{option}" for option in NARROWING)
            raise UsageError(f"Say which: either op_ ids, or one or more of {narrowing}.")
        words = Words(operator(options["operator"]), reason_given(options["reason"]))
        if options["ids"]:
            self._change_named(command, options, words)
        else:
            self._change_selected(command, options, words)

    def _change_selected(
        self, command: ProductCommand, options: dict[str, Any], words: Words
    ) -> None:
        now, by = database_now(), self.speaks_as(options)
        among = selected(options, now=now)

        def left() -> int:
            return count_where(among, lambda token: self.concerns(token, now, by))

        found, changed = left(), 0
        if not found:
            raise NothingMatched(f"Nothing that could be {self.done} matched.")
        if not options["dry_run"]:
            self._confirm(command, found, options)
            changed = sum(type(self).services(among, by=by, words=words))
        command.emit_one({"id": self.name, "found": found, "changed": changed})
        if not options["dry_run"] and (damaged := left()):
            raise PartialFailure(
                f"{damaged} were left: their ledger does not match (verify_ledger)."
            )

    def _confirm(self, command: ProductCommand, count: int, options: dict[str, Any]) -> None:
        what = "1 operation" if count == 1 else f"{count} operations"
        command.confirm(f"{self.name.capitalize()} {what}?", yes=options["yes"])

    def _change_named(self, command: ProductCommand, options: dict[str, Any], words: Words) -> None:
        if len(options["ids"]) > MOST:
            raise UsageError(f"At most {MOST} ids at once; --user, --type and others have no end.")
        tokens = [operation_named(each) for each in dict.fromkeys(options["ids"])]
        if not options["dry_run"]:
            self._confirm(command, len(tokens), options)
        rows = [self._one(token, options, words) for token in tokens]
        command.emit(rows)
        _conclude([str(row["refused"]) for row in rows if row["refused"]], len(rows))

    def _one(self, token: OperationToken, options: dict[str, Any], words: Words) -> dict[str, Any]:
        by, dry, refused = self.speaks_as(options), options["dry_run"], ""
        try:
            if dry:
                self.check(token, database_now(), by)
            else:
                token = type(self).service(operation_id=token.pk, by=by, words=words)
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
