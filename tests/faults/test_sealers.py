"""Sealers as real processes: two race, one is killed at any moment; no size ever has two heads."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import Checkpoint, EntryKind, LedgerEntry, LedgerLeaf
from batchtokens.models.clock import database_now
from batchtokens.models.ledger import append_authority_entry
from batchtokens.models.sealing import stored_root, tree_size
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import checkpoint_files, read_checkpoint
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint
from tests.cluster import Part, eventually
from tests.servers import manage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _keys() -> None:
    ensure_signing_keys()


@pytest.fixture
def sealers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Part]]:
    folder = tmp_path_factory.mktemp("sealers")
    command = manage("seal_ledger", "--every", "0.02")
    parts = [Part(command, {}, folder / f"sealer-{number}.log") for number in range(2)]
    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.close)
            part.start()
        yield parts


def append(count: int) -> None:
    for _ in range(count):
        append_authority_entry(EntryKind.KEY_ADDED, at=database_now(), data={})


def all_sealed() -> bool:
    newest = Checkpoint.objects.order_by("size").last()
    return newest is not None and newest.size == LedgerEntry.objects.count()


def at(path: Path) -> VerifiedCheckpoint | None:
    """Read a file; None if a later one of its hour took its place."""
    with suppress(FileNotFoundError):
        return read_checkpoint(path)
    return None


def heads_outside() -> list[TreeHead]:
    """Read the record; once more where the newest was replaced between the list and the look."""
    for _ in range(100):
        found = [at(path) for path in checkpoint_files()]
        if found and found[-1]:
            break
    return [each.head for each in found if each]


def check_heads() -> None:
    """Every head outside is one of the tree, and the newest was there before the database's."""
    stored = list(Checkpoint.objects.order_by("size").values_list("size", "root"))
    outside = heads_outside()
    assert len({head.size for head in outside}) == len(outside)
    assert [(head.size, stored_root(head.size)) for head in outside] == [
        (head.size, head.root) for head in outside
    ]
    assert not stored or outside[-1].size >= stored[-1][0]
    assert stored == [(size, stored_root(size)) for size, _ in stored]
    size = tree_size()  # at least: the other sealer goes on
    indexes = list(LedgerLeaf.objects.order_by("index").values_list("index", flat=True))
    assert indexes == list(range(max(size, len(indexes))))


@pytest.mark.race
def test_two_sealers_make_one_tree(sealers: list[Part]) -> None:
    for _ in range(20):
        append(3)
        time.sleep(0.05)

    eventually(all_sealed)
    check_heads()
    assert all(part.is_running for part in sealers)


def test_sealers_killed_at_any_moment_leave_one_tree(sealers: list[Part]) -> None:
    chance = random.Random(4)
    eventually(all_sealed)
    for number in range(6):
        append(5)
        time.sleep(chance.uniform(0, 0.1))
        victim = sealers[number % 2]
        victim.kill()
        check_heads()
        victim.start()

    eventually(all_sealed)
    check_heads()


def test_a_hundred_thousand_entries_take_seconds() -> None:
    now = database_now()
    rows = [
        LedgerEntry(seq=1000 + n, kind="key_added", at=now, entry=f'{{"n":{n}}}')
        for n in range(100_000)
    ]
    LedgerEntry.objects.bulk_create(rows, batch_size=5_000)
    began = time.monotonic()

    placed = Sealing().look().placed

    took = time.monotonic() - began
    print(f"{placed} entries sealed in {took:.1f} s")
    assert placed == LedgerEntry.objects.count() > 100_000
    assert took < 60  # seconds, on a machine that is busy
