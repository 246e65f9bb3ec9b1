"""Repeat the authority's decisions that a restored database has lost: keys, executors, types.

A key that was added since is gone with its row; nothing that it signed is believed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from accounts.models import ServiceClient, SigningKey
from accounts.tokens.key_store import key_store
from batchtokens.models import EntryKind, ExecutorControl, OperationType
from batchtokens.services.recovery.read_export import ToldEntry
from batchtokens.services.redemption.set_caps import Caps

KEY_FIELDS = ("retired_at", "compromised_at", "private_sealed")
FROM_LEDGER = "restored from the ledger"


def repeat_decisions(entries: Sequence[ToldEntry]) -> None:
    """Apply entries of the authority's own chain, in their order; no entry is written."""
    for entry in entries:
        match entry.kind:
            case EntryKind.KEY_RETIRED | EntryKind.KEY_COMPROMISED:
                _end_key(entry)
            case EntryKind.EXECUTOR_STOPPED | EntryKind.EXECUTOR_STARTED:
                _switch_executor(entry)
            case EntryKind.EXECUTOR_CAPPED:
                _cap_executor(entry)
            case EntryKind.TYPE_STOPPED | EntryKind.TYPE_STARTED:
                types = OperationType.objects.filter(name=entry.data["type"])
                types.update(is_active=entry.kind == EntryKind.TYPE_STARTED)


def _end_key(entry: ToldEntry) -> None:
    key = SigningKey.objects.select_for_update().filter(kid=entry.data["kid"]).first()
    if key is not None:
        compromised = entry.kind == EntryKind.KEY_COMPROMISED
        key_store.destroy(key, at=entry.at, compromised=compromised)
        key.save(update_fields=KEY_FIELDS)


def _switch_executor(entry: ToldEntry) -> None:
    executor = ServiceClient.objects.filter(client_id=entry.data["executor"]).first()
    if executor is None:
        return
    control, _ = ExecutorControl.objects.get_or_create(executor=executor)
    stopped = entry.kind == EntryKind.EXECUTOR_STOPPED
    control.stopped_at = entry.at if stopped else None
    control.stopped_by = entry.data["by"] if stopped else ""
    control.reason = FROM_LEDGER if stopped else ""
    control.save(update_fields=["stopped_at", "stopped_by", "reason"])


def _cap_executor(entry: ToldEntry) -> None:
    executor = ServiceClient.objects.filter(client_id=entry.data["executor"]).first()
    if executor is not None:
        caps = vars(Caps(**entry.data["caps"]))
        ExecutorControl.objects.update_or_create(executor=executor, defaults=caps)
