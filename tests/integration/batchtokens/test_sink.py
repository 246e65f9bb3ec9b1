"""The sink keeps the newest head of each hour: bounded, and nothing it could show is lost (I2)."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import LedgerBehind
from batchtokens.models import (
    Checkpoint,
    EntryKind,
    LedgerEntry,
    LedgerLeaf,
    LedgerNode,
    append_authority_entry,
)
from batchtokens.services.ledger import seal
from batchtokens.services.ledger.reconcile_ledger import accept_loss
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import (
    checkpoint_files,
    newest_checkpoint,
    read_checkpoint,
    sink_lock,
)
from batchtokens.services.ledger.verify_tree import verify_tree
from tests.guards import as_insider

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


class Clock:
    """The database's clock, as the sealer reads it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += dt.timedelta(**span)


@pytest.fixture
def clock(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    made = Clock()
    monkeypatch.setattr(seal, "database_now", made)
    return made


def append() -> None:
    append_authority_entry(EntryKind.KEY_ADDED, at=NOON, data={})


def seal_every(seconds: float, times: int, clock: Clock) -> None:
    sealing = Sealing()
    for _ in range(times):
        append()
        sealing.look()
        clock.pass_by(seconds=seconds)


def instants() -> list[int]:
    return [read_checkpoint(path).iat - int(NOON.timestamp()) for path in checkpoint_files()]


def findings() -> list[Any]:
    return [f for _, page in verify_tree(whole_sink=True) for f in page]


def test_the_newest_head_of_each_hour_stays(clock: Clock) -> None:
    seal_every(600, 15, clock)

    assert instants() == [3000, 6600, 8400]
    assert Checkpoint.objects.count() == 15
    assert findings() == []


def test_sealers_that_begin_anew_leave_no_more(clock: Clock) -> None:
    for _ in range(5):
        seal_every(1, 2, clock)

    assert len(checkpoint_files()) == 1


def test_the_boundary_is_the_full_hour(clock: Clock) -> None:
    clock.pass_by(seconds=3599)
    seal_every(1, 2, clock)

    assert instants() == [3599, 3600]


def test_nothing_goes_before_the_database_has_the_later_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    append()
    sealing = Sealing()
    sealing.look()
    append()
    with monkeypatch.context() as patch:
        patch.setattr(seal, "_store", lambda checkpoint: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sealing.look()

    assert len(checkpoint_files()) == 2
    append()
    sealing.look()
    assert read_checkpoint(checkpoint_files()[-1]).head.size == LedgerEntry.objects.count()


def go_back_to(size: int) -> None:
    with as_insider():
        for leaf in LedgerLeaf.objects.filter(index__gte=size):
            leaf.delete()
            LedgerEntry.objects.filter(pk=leaf.entry_id).delete()
        for node in LedgerNode.objects.all():
            if (node.position + 1) << node.level > size:
                node.delete()
        Checkpoint.objects.filter(size__gt=size).delete()


def test_a_copy_from_between_two_kept_heads_is_still_found(clock: Clock) -> None:
    seal_every(60, 10, clock)
    kept = Checkpoint.objects.order_by("-size")[4].size
    go_back_to(kept)
    append()

    with pytest.raises(LedgerBehind):
        Sealing().look()
    assert accept_loss(reason="the disk burned").kept == kept
    assert findings() == []


def test_a_loss_keeps_the_head_that_was_lost(clock: Clock) -> None:
    seal_every(1, 6, clock)
    lost = newest_checkpoint()
    go_back_to(4)

    accept_loss(reason="the disk burned")
    seal_every(1, 3, clock)

    newest = newest_checkpoint()
    assert lost is not None
    assert newest is not None
    assert [(h.epoch, h.size) for h in (read_checkpoint(p).head for p in checkpoint_files())] == [
        (0, lost.head.size),
        (1, newest.head.size),
    ]


def test_a_clock_that_goes_back_leaves_a_head_more(clock: Clock) -> None:
    seal_every(-3600, 3, clock)

    assert len(checkpoint_files()) == 3
    assert findings() == []


def test_a_file_that_is_never_there_to_be_read_is_told(clock: Clock, settings: Any) -> None:
    seal_every(1, 1, clock)
    (settings.LEDGER_SINK / "000000-000000000000999.jwt").symlink_to("nowhere")

    with pytest.raises(LedgerBehind):
        newest_checkpoint()


def test_only_one_holds_the_sink(settings: Any, tmp_path: Path) -> None:
    settings.LEDGER_SINK = tmp_path

    with sink_lock() as first, sink_lock() as second:
        assert (first, second) == (True, False)
    with sink_lock() as third:
        assert third
