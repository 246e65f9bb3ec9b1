"""The operations that `revoke_tokens --type operation` cancels."""

import datetime as dt
from typing import Any

from accounts.management.base import PartialFailure, UsageError
from accounts.management.named import client_named, operator, user_named
from authproject.management.selected import Selected
from batchtokens.management.decisions import reason_given
from batchtokens.management.operations.named import key_named, type_named
from batchtokens.models import HoldKind, OperationToken
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.mandates.revoke import cancel_operations
from batchtokens.services.mandates.words import Words

# Options that concern operations alone, and those that do not concern them.
NARROWING = ("client", "operation_type", "key")
FOREIGN = ("family", "ip", "inactive_for")


def operations(options: dict[str, Any], *, now: dt.datetime) -> Selected:
    """Select what has not ended at `now`; cancelling is final, so a reason is needed.

    Interrupted, it has cancelled whole batches; the same call again does the rest.
    """
    if any(options[option] is not None for option in FOREIGN):
        raise UsageError(
            "Operations are selected with --all, --user, --client, --operation-type, --key or"
            " --older-than."
        )
    reason = "" if options["dry_run"] else reason_given(options["reason"])
    found = _among(options, now)

    def revoke() -> int:
        words = Words(operator(), reason)
        return sum(cancel_operations(found, by=HoldKind.STAFF, words=words))

    count = found.count()
    return Selected(revoke, count, bool(count))


def check_none_left(options: dict[str, Any], *, now: dt.datetime) -> None:
    """Raise PartialFailure where damaged ones were left as they are; they run nowhere.

    now: when they were selected; what is issued later is another matter.
    """
    if left := _among(options, now).filter(issued_at__lte=now).count():
        raise PartialFailure(f"{left} were left: their ledger does not match (verify_ledger).")


def _among(options: dict[str, Any], now: dt.datetime) -> OperationTokenQuerySet:
    found = OperationToken.objects.live(now)
    if options["user"] is not None:
        found = found.for_user(user_named(options["user"]))
    if options["client"] is not None:
        found = found.filter(client=client_named(options["client"]))
    if options["operation_type"] is not None:
        found = found.filter(type_name=type_named(options["operation_type"]))
    if options["key"] is not None:
        found = found.filter(kid=key_named(options["key"]))
    if options["older_than"] is not None:
        found = found.filter(issued_at__lt=now - options["older_than"])
    return found
