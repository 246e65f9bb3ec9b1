"""Show and set executors' caps, stop one, and start it again: the breaker is closed by staff."""

import argparse
from collections.abc import Collection
from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name as a_name
from accounts.management.base import ProductCommand, UsageError
from accounts.models import ServiceClient
from batchtokens.errors import CapsNotValid
from batchtokens.management.executor_rows import USES, brief_row_of, row_of
from batchtokens.management.operations.named import executor_named
from batchtokens.management.switches import (
    add_verb,
    as_cells,
    check_shown,
    decided,
    emit_state,
    outcome,
)
from batchtokens.models import ExecutorControl, StoppedBy
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.read_executor import (
    ExecutorState,
    all_executors,
    read_executors,
)
from batchtokens.services.redemption.set_caps import (
    CAPS,
    COUNTS,
    SUMS,
    Caps,
    caps_of,
    caps_with,
    set_caps,
)
from batchtokens.services.redemption.stop_executor import (
    CONSEQUENCES,
    start_executor,
    stop_executor,
)

NO_CAP = "none"
DONE = {"stop": "stopped", "start": "started", "set-caps": "capped"}
QUESTIONS = {
    "stop": f"{CONSEQUENCES['stop']} Stop {{name}}?",
    "start": f"{CONSEQUENCES['start']} Start {{name}}?",
    "set-caps": "Change what {name} may redeem at most ({changes})?",
}
UNSET = {
    **dict.fromkeys((*COUNTS, *SUMS), "no cap"),
    **dict.fromkeys(USES, "not counted, for want of a cap"),
}


class Command(ProductCommand):
    """One executor, one verb; without a verb, what is."""

    help = "Show what executors may redeem and did; cap one, stop it, start it again."
    lists = True
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the verb, whose it is, and the caps."""
        add_verb(parser, DONE, of="the executor")
        for cap in (*COUNTS, *SUMS):
            unit = "redemptions" if cap in COUNTS else "minor units, such as cents,"
            period = "UTC day" if cap.endswith("day") else "minute"
            parser.add_argument(
                f"--{cap.replace('_', '-')}",
                type=a_cap,
                metavar="N",
                help=f"set-caps: {unit} in a {period} at most, or {NO_CAP}; left out, it stays",
            )
        parser.add_argument(
            "--currency", type=a_currency, metavar="ISO", help="set-caps: of the minor units"
        )

    def handle(self, *args: Any, verb: str, name: str | None, **options: Any) -> None:
        """Do it, and print what holds now."""
        given = {cap: options[cap] for cap in CAPS if options[cap] is not None}
        if given and verb != "set-caps":
            raise UsageError("Caps and their currency go with set-caps.")
        if verb == "show":
            check_shown(options)
            self._show(name)
        elif name is None:
            raise UsageError(f"Say which executor to {verb}.")
        else:
            self._change(verb, executor_named(name), given, options)

    def _show(self, name: str | None) -> None:
        if name is not None:
            emit_state(self, row_of(_state(executor_named(name))), unset=UNSET)
            return
        states = read_executors(list(all_executors()), now=database_now())
        match self.output_format:
            case "table":
                self.emit([brief_row_of(each) for each in states])
            case "csv":
                self.emit([as_cells(row_of(each)) for each in states])
            case _:
                self.emit([row_of(each) for each in states])

    def _change(
        self, verb: str, executor: ServiceClient, given: dict[str, Any], options: dict[str, Any]
    ) -> None:
        if verb == "set-caps" and not given:
            raise UsageError("Say which cap: --max-count-day, …")
        by, caps, dry = decided(options), _caps(given), options["dry_run"]
        if not dry:
            self._ask(verb, executor, caps, given, yes=options["yes"])
        control = _state(executor).control  # as it is after the question, which may take its time
        would = _caps_with(control, caps, given)
        changes = would != caps_of(control) if verb == "set-caps" else _changes(verb, control)
        match verb:
            case _ if dry:
                pass
            case "stop":
                stop_executor(executor=executor, **by)
            case "start":
                start_executor(executor=executor, **by)
            case _:
                set_caps(executor=executor, caps=caps, named=given, **by)
        shown = vars(would) if dry else {}
        done = outcome(DONE[verb], changes=changes, dry=dry)
        emit_state(self, {**row_of(_state(executor)), **shown, "done": done}, unset=UNSET)

    def _ask(
        self, verb: str, executor: ServiceClient, caps: Caps, named: Collection[str], *, yes: bool
    ) -> None:
        control = _state(executor).control
        changes = _told(caps_of(control), _caps_with(control, caps, named))
        question = QUESTIONS[verb].format(name=executor.client_id, changes=changes)
        self.confirm(question, yes=yes)


def a_cap(text: str) -> int | str:
    """Read a cap, or the word that takes one away."""
    if text == NO_CAP:
        return NO_CAP
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is neither a whole number nor {NO_CAP}")
    return int(text)


def a_currency(text: str) -> str:
    """Read a currency's code, in any case."""
    return a_name(text).upper()


def _state(executor: ServiceClient) -> ExecutorState:
    (state,) = read_executors([executor], now=database_now())
    return state


def _changes(verb: str, control: ExecutorControl) -> bool:
    """Say whether the verb would change something: staff keep what the breaker stopped."""
    if verb == "start":
        return control.stopped_at is not None
    return control.stopped_by != StoppedBy.STAFF


def _told(present: Caps, wanted: Caps) -> str:
    """Say which caps become which others."""
    pairs = ((cap, getattr(present, cap), getattr(wanted, cap)) for cap in CAPS)
    changes = (f"{cap}: {old or NO_CAP} → {new or NO_CAP}" for cap, old, new in pairs if old != new)
    return "; ".join(changes) or "as it is"


def _caps(given: dict[str, Any]) -> Caps:
    values: dict[str, Any] = {n: None if cap == NO_CAP else cap for n, cap in given.items()}
    return Caps(**values)


def _caps_with(control: ExecutorControl, caps: Caps, named: Collection[str]) -> Caps:
    """Return what its caps would be. Raises UsageError for such as cap nothing."""
    try:
        return caps_with(control, caps, named)
    except CapsNotValid as error:
        option = (error.pointer or "").strip("/").replace("_", "-")
        raise UsageError(f"--{option}: {error}") from error
