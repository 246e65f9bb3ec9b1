"""Lock what a restore changes, in the order that everybody else locks it.

Keys, executors' controls, types; people before their consents; operations by their ids; the
authority's own chain is the caller's last one. Whoever decides meanwhile waits, and nobody waits in
a circle.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Sequence

from accounts.models import ServiceClient, SigningKey, User
from batchtokens.models import Consent, ExecutorControl, OperationToken, OperationType
from batchtokens.services.recovery.read_export import ToldEntry

PAGE = 500


def lock_decided(entries: Sequence[ToldEntry]) -> None:
    """Lock what entries of the authority's own chain tell of."""
    kids, executors, types = (_named(entries, name) for name in ("kid", "executor", "type"))
    list(SigningKey.objects.filter(kid__in=kids).order_by("pk").select_for_update(no_key=True))
    clients = ServiceClient.objects.filter(client_id__in=executors).order_by("pk")
    for client in clients:  # a row that is only made later would be waited for, too
        ExecutorControl.objects.get_or_create(executor=client)
    controls = ExecutorControl.objects.filter(executor__in=clients).order_by("pk")
    list(controls.select_for_update(no_key=True, of=("self",)))
    kinds = OperationType.objects.filter(name__in=types).order_by("pk")
    list(kinds.select_for_update(no_key=True))  # a consent that is stored meanwhile may refer to it


def _named(entries: Sequence[ToldEntry], name: str) -> set[str]:
    return {entry.data[name] for entry in entries if name in entry.data}


def lock_open_consents(at: dt.datetime) -> list[uuid.UUID]:
    """Lock the consents that are open then, and before them whose they are; return their keys."""
    waiting = Consent.objects.open(at).filter(created_at__lt=at)
    people = User.objects.filter(pk__in=waiting.values("user")).order_by("pk")
    list(people.select_for_update(no_key=True).values_list("pk"))
    locked = waiting.order_by("pk").select_for_update(no_key=True, of=("self",))
    return list(locked.values_list("pk", flat=True))


def lock_tokens(hashes: Collection[str]) -> dict[str, OperationToken]:
    """Lock those operations that there are; return them by their tokens' hashes."""
    keys = OperationToken.objects.filter(token_hash__among=hashes).values_list("pk", flat=True)
    wanted = sorted(keys)
    found: dict[str, OperationToken] = {}
    for start in range(0, len(wanted), PAGE):
        rows = OperationToken.objects.filter(pk__in=wanted[start : start + PAGE])
        locked = rows.select_related("client").select_for_update(no_key=True, of=("self",))
        found |= {row.token_hash: row for row in locked.order_by("pk")}
    return found
