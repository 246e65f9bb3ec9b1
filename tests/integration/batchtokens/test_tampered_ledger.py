"""200 random edits, deletions, swaps, insertions and truncations: each is found where it is (I2).

Clean ledgers give no alarm. The insiders here own the database: triggers do not stop them.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import (
    Checkpoint,
    LedgerEntry,
    LedgerLeaf,
    LedgerNode,
    OperationToken,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.services.ledger.export_ledger import export_ledger
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import Finding, verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens_verifier.errors import LedgerNotValid
from batchtokens_verifier.exports import verify_export
from batchtokens_verifier.ledger import entry_hash
from tests import ledgers
from tests.guards import as_insider

pytestmark = pytest.mark.django_db

TIMES = 20  # each of ten ways: 200 in all, on the tables and on the export


@pytest.fixture
def made(settings: Any, tmp_path: Path) -> ledgers.History:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    return ledgers.history(4)


def findings(**options: Any) -> list[Finding]:
    pages = [*verify_ledger(), *verify_tree(**options)]
    return [finding for _, page in pages for finding in page]


def test_a_clean_ledger_gives_no_alarm(made: ledgers.History) -> None:
    assert findings(whole_sink=True) == []
    report = verify_export(export_ledger())
    assert (report.findings, report.entries) == ([], LedgerEntry.objects.count())
    assert report.head is not None
    assert report.head.size == report.entries


class Undone(Exception):
    """Takes one tampering back."""


def tampered(tamper: Callable[[], tuple[set[str], int]]) -> None:
    """Tamper, and see that what is named is what was touched, or the first after it."""
    try:
        with transaction.atomic(), as_insider():
            names, leaf = tamper()
            found = findings(whole_sink=True)
            assert found, tamper
            first = [f.seq for f in found if f.operation_id == "tree"]
            assert any(f.operation_id in names for f in found) or min(first, default=-1) >= 0
            at_tree = [seq for seq in first if seq <= leaf or leaf < 0]
            assert at_tree or any(f.operation_id in names for f in found), (names, leaf, found)
            raise Undone
    except Undone:
        pass


def pick(rows: Any, chance: random.Random) -> Any:
    return chance.choice(list(rows.order_by("pk")))


def told(entry: LedgerEntry) -> tuple[set[str], int]:
    """Who must be named for a change of this entry, or up to which leaf."""
    token = entry.operation_token
    leaf = LedgerLeaf.objects.filter(entry_id=entry.pk).values_list("index", flat=True).first()
    return {token.public_id if token else "authority"}, -1 if leaf is None else leaf


def edit_entry(chance: random.Random) -> tuple[set[str], int]:
    entry = pick(LedgerEntry.objects.all(), chance)
    place = chance.randrange(len(entry.entry))
    other = chance.choice([c for c in "0aZ9}" if c != entry.entry[place]])
    text = entry.entry[:place] + other + entry.entry[place + 1 :]
    LedgerEntry.objects.filter(pk=entry.pk).update(entry=text)
    return told(entry)


def edit_and_hash_anew(chance: random.Random) -> tuple[set[str], int]:
    """Rewrite an entry, and all that hang on it: hashes, links, leaves and the row."""
    entry = pick(LedgerEntry.objects.filter(operation_token__isnull=False), chance)
    body = json.loads(entry.entry)
    body["at"] = body["at"].replace("0Z", "1Z") if "0Z" in body["at"] else body["at"][:-2] + "0Z"
    rewritten = ledgers.canonical(body)
    LedgerEntry.objects.filter(pk=entry.pk).update(entry=rewritten)
    ledgers.hash_anew(entry.operation_token)
    return told(entry)


def delete_entry(chance: random.Random) -> tuple[set[str], int]:
    entry = pick(LedgerEntry.objects.all(), chance)
    where = told(entry)
    LedgerLeaf.objects.filter(entry_id=entry.pk).delete()
    LedgerEntry.objects.filter(pk=entry.pk).delete()
    return where


def roll_back(chance: random.Random) -> tuple[set[str], int]:
    """Take a chain's last entry away with its leaf, and let the row say what it said before."""
    token = pick(OperationToken.objects.filter(seq__gt=1), chance)
    last = token.ledger_entries.get(seq=token.seq)
    before = token.ledger_entries.get(seq=token.seq - 1)
    where = told(last)
    state = json.loads(before.entry)["state"]
    LedgerLeaf.objects.filter(entry=last).delete()
    RedemptionAttempt.objects.filter(redemption__operation_token=token, at=last.at).delete()
    LedgerEntry.objects.filter(pk=last.pk).delete()
    OperationToken.objects.filter(pk=token.pk).update(
        seq=before.seq,
        head_hash=before.hash,
        holds=state["holds"],
        taken_count=state["count"],
        taken_minor=state["sum"],
        settled_count=state["settled"],
        cancelled_at=None,
    )
    return where


def truncate_the_tree(chance: random.Random) -> tuple[set[str], int]:
    """Take leaves from the end, with their entries, nodes and checkpoints."""
    size = LedgerLeaf.objects.count()
    left = chance.randrange(size // 2, size)
    gone = LedgerLeaf.objects.filter(index__gte=left)
    entries = list(gone.values_list("entry_id", flat=True))
    gone.delete()
    LedgerEntry.objects.filter(pk__in=entries).delete()
    for node in LedgerNode.objects.all():
        if (node.position + 1) << node.level > left:
            node.delete()
    Checkpoint.objects.filter(size__gt=left).delete()
    return set(), left


def swap_leaves(chance: random.Random) -> tuple[set[str], int]:
    first, second = chance.sample(list(LedgerLeaf.objects.order_by("index")), 2)
    held = first.entry_id, second.entry_id
    LedgerLeaf.objects.filter(pk__in=[first.pk, second.pk]).delete()
    LedgerLeaf.objects.create(index=first.index, entry_id=held[1], hash=second.hash)
    LedgerLeaf.objects.create(index=second.index, entry_id=held[0], hash=first.hash)
    return set(), min(first.index, second.index)


def swap_entries(chance: random.Random) -> tuple[set[str], int]:
    first, second = chance.sample(list(LedgerEntry.objects.order_by("pk")), 2)
    for one, other in ((first, second), (second, first)):
        LedgerEntry.objects.filter(pk=one.pk).update(entry=other.entry, hash=other.hash)
    return told(first)[0] | told(second)[0], min(told(first)[1], told(second)[1])


def insert_entry(chance: random.Random) -> tuple[set[str], int]:
    token = pick(OperationToken.objects.all(), chance)
    last = token.ledger_entries.get(seq=token.seq)
    body = json.loads(last.entry) | {"seq": last.seq + 1, "prev": last.hash}
    text = ledgers.canonical(body)
    LedgerEntry.objects.create(
        operation_token=token,
        seq=last.seq + 1,
        kind=last.kind,
        at=last.at,
        entry=text,
        hash=entry_hash(text),
    )
    return {token.public_id}, -1


def edit_what_is_beside(chance: random.Random) -> tuple[set[str], int]:
    """Change a leaf's hash, a node, or a stored checkpoint."""
    model: Any = chance.choice([LedgerLeaf, LedgerNode, Checkpoint])
    row = pick(model.objects.all(), chance)
    column = "root" if model is Checkpoint else "hash"
    model.objects.filter(pk=row.pk).update(**{column: entry_hash(str(row.pk))})
    match row:
        case LedgerLeaf():
            return told(row.entry)
        case LedgerNode():
            return set(), row.position << row.level
    return set(), row.size


def edit_state(chance: random.Random) -> tuple[set[str], int]:
    """Change a row, a redemption or an answered request."""
    token = pick(OperationToken.objects.filter(redemptions__isnull=False).distinct(), chance)
    redemption = pick(token.redemptions, chance)
    match chance.randrange(4):
        case 0:
            OperationToken.objects.filter(pk=token.pk).update(valid_to=token.issued_at)
        case 1:
            Redemption.objects.filter(pk=redemption.pk).update(amount_minor=1)
        case 2:
            redemption.attempts.all().delete()
        case _:
            redemption.attempts.update(receipt="a.b.c")
    return {token.public_id}, -1


WAYS = [
    edit_entry,
    edit_and_hash_anew,
    delete_entry,
    roll_back,
    truncate_the_tree,
    swap_leaves,
    swap_entries,
    insert_entry,
    edit_what_is_beside,
    edit_state,
]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_tampering_with_tables_is_found(
    made: ledgers.History, way: Callable[[random.Random], tuple[set[str], int]]
) -> None:
    for seed in range(TIMES):
        tampered(lambda seed=seed: way(random.Random(seed)))  # type: ignore[misc]  # a default binds the seed now


def changes_of_lines(lines: list[str], chance: random.Random) -> Iterator[tuple[list[str], int]]:
    """One edit, deletion, swap, insertion and truncation of an export; with the first line hit."""
    place = chance.randrange(1, len(lines))
    line = lines[place]
    spot = chance.randrange(len(line))
    other = chance.choice([c for c in "0aZ9}" if c != line[spot]])
    yield [*lines[:place], line[:spot] + other + line[spot + 1 :], *lines[place + 1 :]], place
    yield lines[:place] + lines[place + 1 :], place
    second = chance.choice([n for n in range(1, len(lines)) if n != place])
    swapped = list(lines)
    swapped[place], swapped[second] = swapped[second], swapped[place]
    yield swapped, min(place, second)
    yield [*lines[:place], line, *lines[place:]], place
    yield lines[: chance.randrange(1, len(lines))], place


def without_heads(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith('{"is":"checkpoint"')]


def entries_of(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith('{"is":"entry"')]


@pytest.mark.slow
def test_every_tampering_with_an_export_is_found(made: ledgers.History) -> None:
    lines = list(export_ledger())
    anchors = [Checkpoint.objects.latest("size").token]
    tried = 0
    for seed in range(80):
        for flawed, place in changes_of_lines(lines, random.Random(seed)):
            same = sorted(flawed) == sorted(lines) and entries_of(flawed) == entries_of(lines)
            only_heads = without_heads(flawed) == without_heads(lines) and set(flawed) <= set(lines)
            if same or only_heads:
                continue  # another order of rows, or a known head less, tells nothing else
            tried += 1
            assert verify_export(flawed, anchors=anchors).findings, (seed, place)
    assert tried >= 200


def test_a_file_that_is_no_export_is_refused() -> None:
    for lines in ([], [""], ["{}"], ['{"is":"entry"}'], ["[]"]):
        with pytest.raises(LedgerNotValid):
            verify_export(lines)


@rounds(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 25))
def test_whatever_happened_a_clean_ledger_gives_no_alarm(
    made: ledgers.History, seed: int, steps: int
) -> None:
    made.chance.seed(seed)
    made.sealing = Sealing()
    made.grow(steps)

    assert findings() == []
    assert verify_export(export_ledger()).findings == []
