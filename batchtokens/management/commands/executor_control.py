"""Show and set executors' caps, stop one, and start it again: the breaker is closed by staff."""

import argparse
from collections.abc import Collection
from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name as a_name
from accounts.management.base import ProductCommand, UsageError
from accounts.models import ServiceClient
from batchtokens.errors import CapsNotValid
from batchtokens.management.executor_rows import brief_row_of, row_of
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
from batchtokens.services.redemption.stop_executor import (
    CAPS,
    COUNTS,
    SUMS,
    Caps,
    caps_of,
    caps_with,
    set_caps,
    start_executor,
    stop_executor,
)

NO_CAP = "none"
DONE = {"stop": "stopped", "start": "started", "set-caps": "capped"}
QUESTIONS = {
    "stop": "Stop {}? It redeems nothing more; what it holds it may still settle and release.",
    "start": "Let {} redeem again?",
    "set-caps": "Change what {} may redeem at most?",
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
            unit = "redemptions" if cap in COUNTS else "minor units"
            parser.add_argument(
                f"--{cap.replace('_', '-')}",
                type=a_cap,
                help=f"set-caps: {unit}, or {NO_CAP}; what is left out stays as it is",
            )
        parser.add_argument("--currency", type=a_name, help="set-caps: of the minor units")

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
            emit_state(self, row_of(_state(executor_named(name))))
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
        by = decided(options)
        control = _state(executor).control
        caps = _caps(given)
        would = _caps_with(control, caps, given)
        changes = would != caps_of(control) if verb == "set-caps" else _changes(verb, control)
        if not options["dry_run"]:
            self.confirm(QUESTIONS[verb].format(executor.client_id), yes=options["yes"])
            match verb:
                case "stop":
                    stop_executor(executor=executor, **by)
                case "start":
                    start_executor(executor=executor, **by)
                case _:
                    set_caps(executor=executor, caps=caps, named=given, **by)
        done = outcome(DONE[verb], changes=changes, dry=options["dry_run"])
        shown = vars(would) if options["dry_run"] else {}
        emit_state(self, {**row_of(_state(executor)), **shown, "done": done})


def a_cap(text: str) -> int | str:
    """Read a cap, or the word that takes one away."""
    if text == NO_CAP:
        return NO_CAP
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is neither a whole number nor {NO_CAP}")
    return int(text)


def _state(executor: ServiceClient) -> ExecutorState:
    (state,) = read_executors([executor], now=database_now())
    return state


def _changes(verb: str, control: ExecutorControl) -> bool:
    """Say whether the verb would change something: staff keep what the breaker stopped."""
    if verb == "start":
        return control.stopped_at is not None
    return control.stopped_by != StoppedBy.STAFF


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
