"""Give each new operation token its place in a status list of its executor.

Places are drawn at random, so that a place tells nothing of when or for whom it was given.
"""

from __future__ import annotations

import datetime as dt
import secrets
import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery

from accounts.ids import public_id
from batchtokens.models import STATUS_LIST_SIZE, OperationToken, StatusList

# From here on half the draws clash: a new list is cheaper.
FULL = STATUS_LIST_SIZE // 2
# As many places tell well enough how full a list is, and are counted in no time.
SAMPLE = 4096

T = TypeVar("T")


class PlaceTakenError(Exception):
    """Another token has the place that was drawn: draw again."""


@dataclass(frozen=True)
class Place:
    """One token's entry in a status list."""

    status_list_id: uuid.UUID
    index: int

    def claim(self) -> dict[str, Any]:
        """Return the claim `status` (Token Status List, section 6.1)."""
        return {"status_list": {"idx": self.index, "uri": status_list_uri(self.status_list_id)}}


def status_list_uri(status_list_id: uuid.UUID) -> str:
    return _uri(settings.ISSUER_URL, status_list_id)


@lru_cache(maxsize=64)
def _uri(issuer: str, status_list_id: uuid.UUID) -> str:
    return f"{issuer}/oauth/status/{public_id(StatusList.public_prefix, status_list_id)}"


def open_list(executor: OuterRef) -> Subquery:
    """Return an expression: the id of the newest list of `executor` that still gives places."""
    lists = StatusList.objects.filter(executor=executor, full_at=None)
    return Subquery(lists.order_by("-created_at").values("pk")[:1])


def begin_list(executor_id: uuid.UUID) -> uuid.UUID:
    return StatusList.objects.create(executor_id=executor_id).pk


def ensure_list(executor_id: uuid.UUID) -> None:
    """Begin a list where none gives places, so that issuing need not."""
    if not StatusList.objects.filter(executor=executor_id, full_at=None).exists():
        begin_list(executor_id)


def draw_place(status_list_id: uuid.UUID) -> Place:
    return Place(status_list_id, secrets.randbelow(STATUS_LIST_SIZE))


def draw_places(status_list_id: uuid.UUID, count: int) -> list[Place]:
    """Return `count` different places that were free just now; for many tokens at once.

    Raises ValueError where the list could not hold so many.
    """
    free: dict[int, None] = {}  # in the order in which they were drawn
    for _ in range(20):
        drawn = _draw(2 * (count - len(free)))
        rows = OperationToken.objects.filter(
            status_list=status_list_id, status_index__among=set(drawn)
        )
        taken = set(rows.values_list("status_index", flat=True))
        free |= {index: None for index in drawn if index not in taken}
        if len(free) >= count:
            return [Place(status_list_id, index) for index in islice(free, count)]
    raise ValueError("the status list is too full")


def _draw(count: int) -> list[int]:
    """Draw so many indexes, of four random bytes each: the list's size divides what these give."""
    drawn = struct.iter_unpack("I", secrets.token_bytes(4 * count))
    return [number % STATUS_LIST_SIZE for (number,) in drawn]


def take_places(
    status_list_id: uuid.UUID | None, *, executor_id: uuid.UUID, at: dt.datetime, count: int
) -> list[Place]:
    """Return places for many tokens of one executor; whoever stores them may still find one taken.

    status_list_id: the executor's open list; None: it has none yet. Call it in a transaction.
    """
    listed = status_list_id or begin_list(executor_id)
    if status_list_id is not None:
        listed = _list_with_room(listed, executor_id, at)
    return draw_places(listed, count)


def take_place(
    status_list_id: uuid.UUID | None,
    *,
    executor_id: uuid.UUID,
    at: dt.datetime,
    store: Callable[[Place], T],
) -> T:
    """Store one token in a place of its own; a clash undoes what was stored and draws again.

    status_list_id: the executor's open list; None: it has none yet. Call it in a transaction.
    """
    listed = status_list_id or begin_list(executor_id)
    while True:
        try:
            with clash_undone():
                return store(draw_place(listed))
        except PlaceTakenError:
            listed = _list_with_room(listed, executor_id, at)


def _list_with_room(
    status_list_id: uuid.UUID, executor_id: uuid.UUID, at: dt.datetime
) -> uuid.UUID:
    """Return the list to draw from again: a new one where this one is half full.

    Only a clash makes us look, and clashes become frequent as the list fills.
    """
    sample = OperationToken.objects.filter(status_list=status_list_id, status_index__lt=SAMPLE)
    if sample.count() * STATUS_LIST_SIZE < FULL * SAMPLE:
        return status_list_id
    StatusList.objects.filter(pk=status_list_id, full_at=None).update(full_at=at)
    return begin_list(executor_id)


@contextmanager
def clash_undone() -> Iterator[None]:
    """Store within; raises PlaceTakenError, with nothing stored, where the place was taken."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        # The constraint's name on PostgreSQL, its columns on SQLite.
        if "status_index" not in str(error):
            raise
        raise PlaceTakenError from error
