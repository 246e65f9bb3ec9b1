"""Show operation types, stop every run of one, and start it again."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from batchtokens.management.operations.named import type_named
from batchtokens.management.switches import add_verb, check_shown, decided, emit_state, outcome
from batchtokens.models import OperationToken, OperationType
from batchtokens.models.clock import database_now
from batchtokens.services.operation_types.find_last_switch import find_last_switch
from batchtokens.services.operation_types.switch_operation_type import (
    CONSEQUENCES,
    switch_operation_type,
)

DONE = {"stop": "stopped", "start": "started"}


class Command(ProductCommand):
    """One type in every version, one verb; without a verb, what is."""

    help = "Show operation types; stop every run of one, and start it again."
    lists = True
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the verb, and which type."""
        add_verb(parser, DONE, of="the type")

    def handle(self, *args: Any, verb: str, name: str | None, **options: Any) -> None:
        """Do it, and print what holds now."""
        if verb != "show":
            self._change(verb, name, options)
            return
        check_shown(options)
        if name is not None:
            emit_state(self, _row(_named(name)))
        else:
            current = OperationType.objects.current().select_related("executor")
            self.emit([_brief_row(kind) for kind in current.order_by("name")])

    def _change(self, verb: str, name: str | None, options: dict[str, Any]) -> None:
        if name is None:
            raise UsageError(f"Say which operation type to {verb}.")
        by, kind = decided(options), _named(name)
        stop = verb == "stop"
        changes = kind.is_active == stop
        if not options["dry_run"]:
            self.confirm(_question(kind, stop=stop), yes=options["yes"])
            changes = switch_operation_type(name=kind.name, is_active=not stop, **by) > 0
        done = outcome(DONE[verb], changes=changes, dry=options["dry_run"])
        emit_state(self, {**_row(_named(name)), "done": done})


def _named(name: str) -> OperationType:
    return OperationType.objects.current().select_related("executor").get(name=type_named(name))


def _live(kind: OperationType) -> int:
    return OperationToken.objects.live(database_now()).filter(type_name=kind.name).count()


def _question(kind: OperationType, *, stop: bool) -> str:
    verb = "stop" if stop else "start"
    live = f"{_live(kind)} mandates of it are live."
    return f"{CONSEQUENCES[verb]} {live} {verb.capitalize()} {kind.name}?"


def _brief_row(kind: OperationType) -> dict[str, Any]:
    return {
        "id": kind.name,
        "version": kind.version,
        "is_active": kind.is_active,
        "executor": kind.executor.client_id,
        "consent": kind.consent,
    }


def _row(kind: OperationType) -> dict[str, Any]:
    last = find_last_switch(name=kind.name)
    return {
        **_brief_row(kind),
        "live_mandates": _live(kind),
        "switched_at": last.at if last else None,
        "switched_by": last.by if last else "",
        "reason": last.reason if last else "",
    }
