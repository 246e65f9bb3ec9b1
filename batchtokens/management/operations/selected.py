"""Many operations at once, chosen by whom and what they concern."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.named import user_named
from accounts.models import FIRST_PARTY
from batchtokens.management.operations.named import (
    executor_named,
    key_named,
    trigger_named,
    type_named,
)
from batchtokens.models import OperationToken
from batchtokens.models.operation_tokens import OperationTokenQuerySet

NARROWING = ("user", "client", "executor", "type", "kid")
# What says whether a change concerns a row.
_DECIDING = (
    "holds",
    "cancelled_at",
    "disowned_at",
    "valid_to",
    "settled_count",
    "max_occurrences",
)


def add_selection(parser: CommandParser) -> None:
    """Declare what many have in common; several options narrow."""
    parser.add_argument("--user", type=name, help="those of a person: a username or a usr_ id")
    parser.add_argument("--client", type=name, help=f"those of a trigger, or of {FIRST_PARTY}")
    parser.add_argument("--executor", type=name, help="those for an executor")
    parser.add_argument("--type", type=name, help="those of an operation type")
    parser.add_argument("--kid", type=name, help="those that this key has signed")


def is_selecting(options: dict[str, Any]) -> bool:
    """Say whether many were chosen, and not some by their ids."""
    return any(options[option] is not None for option in NARROWING)


def selected(options: dict[str, Any], *, now: datetime) -> OperationTokenQuerySet:
    """Return those that live and were issued by `now`. Raises NothingMatched for unknown names."""
    return narrowed(OperationToken.objects.live(now).filter(issued_at__lte=now), options)


def narrowed(found: OperationTokenQuerySet, options: dict[str, Any]) -> OperationTokenQuerySet:
    """Keep what the options select. Raises NothingMatched for unknown names."""
    if options["user"] is not None:
        found = found.for_user(user_named(options["user"]))
    if options["client"] is not None:
        found = found.filter(client=trigger_named(options["client"]))
    if options["executor"] is not None:
        found = found.filter(executor=executor_named(options["executor"]))
    if options["type"] is not None:
        found = found.filter(type_name=type_named(options["type"]))
    if options["kid"] is not None:
        found = found.filter(kid=key_named(options["kid"]))
    return found


def count_where(among: OperationTokenQuerySet, concerns: Callable[[OperationToken], bool]) -> int:
    """Count those that a change concerns: their holds are no column that SQL could ask for."""
    return sum(concerns(token) for token in among.only(*_DECIDING).iterator(chunk_size=2000))
