"""Lock and read, for a chunk of bulk lines, everybody and everything that they name.

As many statements as there are kinds of things, however many lines there are.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, OuterRef, Q, Sum

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import ServiceClient, User
from accounts.models.folded import fold
from accounts.scopes import TOKEN_EXCHANGE
from batchtokens.errors import OperationTypeUnknown, PersonNotValid, TriggerNotAllowed
from batchtokens.models import Consent, OperationToken, OperationType
from batchtokens.models.clock import DatabaseClock, database_now
from batchtokens.services.consent.spend_consent import lock_consents
from batchtokens.services.issuing.bulk_lines import BulkLine
from batchtokens.services.status.status_places import open_list


@dataclass(frozen=True)
class Parties:
    """Everything that a chunk's lines name, as it was under the people's locks, at `at`.

    live: of a person and a capped type's name, the live mandates and the sum of their max_total.
    earlier: the rows that answer lines of these key digests already.
    """

    at: dt.datetime
    people: dict[str, User]
    consents: dict[str, Consent]
    types: dict[str, OperationType]
    clients: dict[str, ServiceClient]
    triggers: frozenset[tuple[uuid.UUID, uuid.UUID]]
    live: dict[tuple[uuid.UUID, str], tuple[int, int]]
    earlier: dict[str, OperationToken]

    def person(self, line: BulkLine) -> User:
        """Return whom a line names, active or not. Raises PersonNotValid."""
        user = self.people.get(line.user) or self.people.get(fold(line.user))
        if user is None:
            raise PersonNotValid(pointer="/user")
        return user

    def operation_type(self, line: BulkLine) -> OperationType:
        """Return a line's type. Raises OperationTypeUnknown, also where it is switched off."""
        kind = self.types.get(line.type)
        if kind is None:
            raise OperationTypeUnknown(pointer="/type")
        return kind

    def trigger(self, line: BulkLine, kind: OperationType) -> ServiceClient | None:
        """Return a line's trigger, None for the built-in one. Raises TriggerNotAllowed."""
        if not line.client:
            return None
        client = self.clients.get(line.client)
        if client is None or (kind.pk, client.pk) not in self.triggers:
            raise TriggerNotAllowed(pointer="/client")
        return client


def lock_parties(lines: Collection[BulkLine], *, now: dt.datetime | None = None) -> Parties:
    """Lock the people in the order of their ids, then their consents; read the rest after that."""
    people = _lock_people({line.user for line in lines})
    consents = lock_consents({line.consent_id for line in lines if line.consent_id})
    types = _types({line.type for line in lines})
    clients, triggers = _triggers({line.client for line in lines if line.client}, types.values())
    # The clock after the locks; each type brings it along.
    clocks = [getattr(kind, "clock", None) for kind in types.values()]
    return Parties(
        at=now or next((at for at in clocks if at), None) or database_now(),
        people=people,
        consents=consents,
        types=types,
        clients=clients,
        triggers=triggers,
        live=_live({user.pk for user in people.values()}, types.values()),
        earlier=_earlier({digest for line in lines if (digest := line.key_digest)}),
    )


def _lock_people(names: Collection[str]) -> dict[str, User]:
    """Return everybody by their folded name and by their id; sign-ins meanwhile need not wait."""
    keys = [key for name in names if (key := _key_of(name))]
    rows = User.objects.select_for_update(no_key=True).order_by("pk")
    found = rows.filter(Q(username_folded__among=names) | Q(pk__among=keys))
    people: dict[str, User] = {}
    for user in found.only("username", "username_folded", "is_active"):
        people[user.username_folded] = people[user.public_id] = user
    return people


def _key_of(name: str) -> uuid.UUID | None:
    try:
        return parse_public_id(name, User.public_prefix)
    except UnknownId:
        return None


def _types(names: Collection[str]) -> dict[str, OperationType]:
    active = OperationType.objects.active().filter(name__in=names).select_related("executor")
    told = active.annotate(clock=DatabaseClock(), open_list=open_list(OuterRef("executor")))
    return {kind.name: kind for kind in told}


def _triggers(
    names: Collection[str], types: Collection[OperationType]
) -> tuple[dict[str, ServiceClient], frozenset[tuple[uuid.UUID, uuid.UUID]]]:
    """Return the active clients that may exchange at all, and which of the types each triggers."""
    if not names or not types:
        return {}, frozenset()
    links = OperationType.trigger_clients.through.objects.filter(
        operationtype__in=types,
        serviceclient__client_id__in=names,
        serviceclient__is_active=True,
    ).select_related("serviceclient")
    able: list[Any] = [link for link in links if TOKEN_EXCHANGE in link.serviceclient.scopes]
    clients = {link.serviceclient.client_id: link.serviceclient for link in able}
    return clients, frozenset((link.operationtype_id, link.serviceclient_id) for link in able)


def _live(
    people: Collection[uuid.UUID], types: Iterable[OperationType]
) -> dict[tuple[uuid.UUID, str], tuple[int, int]]:
    """Count only what is capped: without a cap, a person's mandates may be very many."""
    capped = [
        kind.name
        for kind in types
        if kind.max_live_mandates is not None or kind.max_total_minor is not None
    ]
    if not capped:
        return {}
    rows = (
        OperationToken.objects.live(DatabaseClock())
        .filter(user__pk__among=people, type_name__in=capped)
        .order_by()
        .values_list("user", "type_name")
        .annotate(Count("pk"), Sum("max_total_minor"))
    )
    return {(user, name): (count, total or 0) for user, name, count, total in rows}


def _earlier(digests: Collection[str]) -> dict[str, OperationToken]:
    if not digests:
        return {}
    rows = OperationToken.objects.filter(idempotency_digest__among=digests).only(
        "idempotency_digest", "request_digest", "client", "sealed_token", "sealed_until"
    )
    return {str(row.idempotency_digest): row for row in rows}
