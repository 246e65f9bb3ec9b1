"""The sealer's statements: which entries have no leaf, and how the stored tree grows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from django.db import connection, transaction
from django.db.models import Max, Q

from batchtokens.models.tree import LedgerLeaf, LedgerNode
from batchtokens_verifier.canonical import b64url, b64url_decode
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.merkle import (
    Place,
    Range,
    complete_subtrees,
    grow,
    leaf_hash,
    places_of,
    range_hash,
    root_hash,
)

# Seconds between two steps of the mark, so that a number drawn just before a transaction became
# visible as one (it has an id of its own only once it writes) is not passed.
STEP = 10.0
BATCH = 10_000  # entries that one transaction places


@dataclass(frozen=True)
class Watermark:
    """Entries up to `passed` are sealed or can never come.

    candidate: the highest entry seen at `taken`; horizon: the first transaction that came after.
    """

    passed: int
    candidate: int
    horizon: int
    taken: float = field(default_factory=time.monotonic)


def next_watermark(former: Watermark | None) -> Watermark:
    """Move past a candidate once every transaction that was open when it was seen has ended.

    One statement, and each STEP another one. On SQLite numbers are drawn in the order of commits.
    """
    if former is not None and time.monotonic() - former.taken < STEP:
        return former
    passed = former.passed if former else 0
    if connection.vendor != "postgresql":
        highest = LedgerLeaf.objects.aggregate(found=Max("entry_id"))["found"] or 0
        return Watermark(highest if former else 0, highest, 0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT coalesce(max(id), 0) FROM batchtokens_ledgerentry),"
            " pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint"
            " FROM pg_current_snapshot() s"
        )
        highest, oldest, upcoming = cursor.fetchone()
    if former is None:
        return Watermark(0, highest, upcoming)
    if oldest < former.horizon:
        return Watermark(passed, former.candidate, former.horizon)
    return Watermark(former.candidate, highest, upcoming)


def unsealed_entries(*, after: int, limit: int) -> list[tuple[int, str]]:
    """Return (id, text) of entries beyond `after` that have no leaf, whenever they came."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, e.entry FROM batchtokens_ledgerentry e WHERE e.id > %s AND NOT EXISTS"
            " (SELECT 1 FROM batchtokens_ledgerleaf l WHERE l.entry_id = e.id)"
            " ORDER BY e.id LIMIT %s",
            [after, limit],
        )
        return list(cursor.fetchall())


def tree_size() -> int:
    """Count the leaves; their indexes have no gaps."""
    highest = LedgerLeaf.objects.aggregate(found=Max("index"))["found"]
    return 0 if highest is None else highest + 1


def append_leaves(entries: Sequence[tuple[int, str]]) -> None:
    """Place entries at the tree's right edge, with every complete subtree that they complete.

    Call it in a transaction.
    """
    size = tree_size()
    edge = stored_nodes(complete_subtrees((0, size)))
    leaves = [leaf_hash(text.encode()) for _, text in entries]
    grown = grow(leaves, size, edge.__getitem__)
    _insert(
        "batchtokens_ledgerleaf",
        {"index": "bigint", "entry_id": "bigint", "hash": "text"},
        [
            (size + number, entry_id, b64url(leaf))
            for number, ((entry_id, _), leaf) in enumerate(zip(entries, leaves, strict=True))
        ],
    )
    _insert(
        "batchtokens_ledgernode",
        {"level": "smallint", "position": "bigint", "hash": "text"},
        [(level, position, b64url(node)) for (level, position), node in grown.items() if level > 0],
    )


def place_all(*, after: int = 0, before: Callable[[], None] = lambda: None) -> int:
    """Give a leaf to every entry beyond `after` that has none; returns how many there were.

    before: called in each transaction that places something.
    """
    placed = 0
    while True:
        with transaction.atomic():
            found = unsealed_entries(after=after, limit=BATCH)
            if found:
                before()
                append_leaves(found)
        placed += len(found)
        if len(found) < BATCH:
            return placed
        after = found[-1][0]  # what comes below it in the meantime is seen by the next look


def _insert(table: str, columns: dict[str, str], rows: Sequence[tuple[int | str, ...]]) -> None:
    """Insert many rows: one statement on PostgreSQL, one prepared one on SQLite."""
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
            values = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})", values)  # noqa: S608 - names
        else:
            places = ", ".join("%s" for _ in columns)
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608 - names


def stored_nodes(places: Iterable[Place]) -> dict[Place, bytes]:
    """Read complete subtrees, in at most two statements."""
    levels: dict[int, list[int]] = defaultdict(list)
    for level, position in set(places):
        levels[level].append(position)
    indexes = levels.pop(0, [])
    inner = [Q(level=level, position__in=positions) for level, positions in levels.items()]
    found: dict[Place, bytes] = {}
    if indexes:
        leaves = LedgerLeaf.objects.filter(index__in=indexes).values_list("index", "hash")
        found |= {(0, index): b64url_decode(text) for index, text in leaves}
    if inner:
        nodes = LedgerNode.objects.filter(reduce(or_, inner))
        found |= {
            (level, position): b64url_decode(text)
            for level, position, text in nodes.values_list("level", "position", "hash")
        }
    return found


def stored_root(size: int) -> str:
    """Compute the root at a size from O(log size) stored nodes; "" where one is missing."""
    try:
        return b64url(root_hash(size, stored_nodes(complete_subtrees((0, size))).__getitem__))
    except (LookupError, ValueError):
        return ""


def tree_holds(head: TreeHead) -> bool:
    """Tell whether the stored tree begins with the one of this head."""
    return head.size <= tree_size() and stored_root(head.size) == head.root


def stored_hashes(ranges: Sequence[Range]) -> list[bytes]:
    """Compute the hashes of ranges, as proofs list them. Raises LookupError."""
    nodes = stored_nodes(places_of(ranges))
    return [range_hash(each, nodes.__getitem__) for each in ranges]
