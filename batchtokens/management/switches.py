"""What the commands that stop and start something share: what they ask, and how they tell it."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name as a_name
from accounts.management.base import ProductCommand, UsageError
from accounts.management.named import operator
from batchtokens.management.decisions import add_operator, reason_given
from batchtokens.services.redemption.stop_executor import LONGEST_SWITCH_REASON

NOTHING: Mapping[str, str] = MappingProxyType({})


def add_verb(parser: CommandParser, changes: Iterable[str], *, of: str) -> None:
    """Declare the verb, whose it is, and who decides. of: what `name` names."""
    parser.add_argument(
        "verb", nargs="?", default="show", choices=("show", *changes), help="default: show"
    )
    parser.add_argument("name", nargs="?", type=a_name, help=f"{of}'s name; show: all")
    add_operator(parser)


def decided(options: dict[str, Any]) -> dict[str, Any]:
    """Return who decides and why. Raises UsageError without a reason, or with too long a one."""
    readers = "the security log keeps it"
    reason = reason_given(options["reason"], longest=LONGEST_SWITCH_REASON, readers=readers)
    return {"reason": reason, "actor": operator(options["operator"])}


def check_shown(options: dict[str, Any]) -> None:
    """Raise UsageError where a change's options are given without a change."""
    if options["reason"] or options["operator"] or options["yes"] or options["dry_run"]:
        raise UsageError("Say what to change: without a verb, the state is shown.")


def outcome(done: str, *, changes: bool, dry: bool) -> str:
    """Say what became of it; `done` is what it then is."""
    if not changes:
        return f"was {done} before"
    return f"would be {done}" if dry else done


def emit_state(
    command: ProductCommand, row: dict[str, Any], *, unset: Mapping[str, str] = NOTHING
) -> None:
    """Print one thing's state; on a terminal a line for each part, as it has too many columns.

    unset: what a terminal shows for a part that is None.
    """
    if command.output_format == "table" and not command.quiet:
        shown = {name: unset.get(name) if value is None else value for name, value in row.items()}
        command.emit([{"part": name, "value": in_words(value)} for name, value in shown.items()])
    else:
        command.emit_one(as_cells(row) if command.output_format == "csv" else row)


def as_cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for CSV, where nothing nests."""
    return {name: in_words(value) for name, value in row.items()}


def in_words(value: Any) -> Any:
    """Return a part as a terminal shows it: types by their names."""
    if not isinstance(value, list):
        return value
    return ", ".join(f"{t['name']}{'' if t['is_active'] else ' (stopped)'}" for t in value)
