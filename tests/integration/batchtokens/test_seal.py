"""The sealer: every entry gets one leaf, heads are signed, consistent and outside first (I2)."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.backend import sign
from batchtokens.errors import LedgerBehind
from batchtokens.models import (
    Checkpoint,
    EntryKind,
    LedgerEntry,
    LedgerLeaf,
    LedgerNode,
    append_authority_entry,
)
from batchtokens.models import sealing as sealing_models
from batchtokens.models.clock import database_now
from batchtokens.services.ledger import seal, sink
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import checkpoint_files, newest_checkpoint, read_checkpoint
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.jws import Purpose
from batchtokens_verifier.merkle import leaf_hash, tree_hash
from tests.guards import as_insider

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """What a kill at this step looks like from inside."""


@pytest.fixture(autouse=True)
def outside(settings: Any, tmp_path: Path) -> Path:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    with as_insider():
        LedgerEntry.objects.all().delete()  # the keys' own
    return tmp_path / "checkpoints"


def append(count: int = 1) -> None:
    for number in range(count):
        append_authority_entry(EntryKind.KEY_ADDED, at=database_now(), data={"n": str(number)})


def root_of_all() -> str:
    """The root by the definition, of the entries in the order of their leaves."""
    leaves = LedgerLeaf.objects.order_by("index").select_related("entry")
    return b64url(tree_hash([leaf_hash(leaf.entry.entry.encode()) for leaf in leaves]))


def check_sealed() -> None:
    """Every entry has one leaf, without a gap, and database and sink have the same head."""
    count = LedgerEntry.objects.count()
    assert list(LedgerLeaf.objects.order_by("index").values_list("index", flat=True)) == list(
        range(count)
    )
    stored, newest = Checkpoint.objects.latest("size"), newest_checkpoint()
    assert newest is not None
    assert (stored.size, stored.root, stored.token) == (count, root_of_all(), newest.token)
    latest = read_checkpoint(django_settings.LEDGER_SINK / sink.LATEST)
    assert latest.head == newest.head


def test_an_empty_ledger_has_no_head() -> None:
    assert Sealing().look().head is None
    assert checkpoint_files() == []


def test_every_entry_gets_its_leaf_and_a_signed_head() -> None:
    sealing = Sealing()
    for count in (1, 1, 3, 8, 1):
        append(count)
        sealed = sealing.look()
        assert (sealed.placed, sealed.head is not None) == (count, True)
        check_sealed()
    assert LedgerNode.objects.count() == 7 + 3 + 1
    assert Checkpoint.objects.count() == 5


def test_in_batches_it_is_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing_models, "BATCH", 3)
    append(11)

    assert Sealing().look().placed == 11
    check_sealed()


def test_an_entry_that_came_late_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lower id than a sealed one becomes visible only after it."""
    append(3)
    late = LedgerEntry.objects.order_by("id")[1]
    sealing = Sealing()
    with as_insider():
        values = LedgerEntry.objects.filter(pk=late.pk).values().get()
        LedgerEntry.objects.filter(pk=late.pk).delete()
        assert sealing.look().placed == 2
    LedgerEntry.objects.create(**values)

    assert sealing.look().placed == 1
    assert LedgerLeaf.objects.get(index=2).entry_id == late.pk


def test_idle_costs_one_statement(django_assert_num_queries: Any) -> None:
    append(2)
    sealing = Sealing()
    sealing.look()
    control = 2 if connection.in_atomic_block else 0  # a savepoint, in this test's transaction

    with django_assert_num_queries(1 + control):
        sealing.look()


STEPS = [
    (sealing_models, "append_leaves"),
    (seal, "sign"),
    (seal, "put_checkpoint"),
    (seal, "_store"),
    (seal, "thin_out"),
    (sink, "_write"),
    (sink, "_sync"),
    (sink, "_point_to"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_killed_at_a_step_the_next_goes_on(
    step: tuple[Any, str], after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(3)
    Sealing().look()
    append(2)
    room, name = step
    real = getattr(room, name)

    def killed(*args: Any, **kwargs: Any) -> None:
        if after:
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(room, name, killed)
        with pytest.raises(Killed):
            Sealing().look()
    append(1)
    Sealing().look()

    check_sealed()
    sizes = [read_checkpoint(path).head.size for path in checkpoint_files()]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == Checkpoint.objects.latest("size").size


def shrink() -> None:
    LedgerLeaf.objects.filter(index__gte=2).delete()
    Checkpoint.objects.all().delete()


def fork() -> None:
    last = LedgerLeaf.objects.get(index=2)
    LedgerLeaf.objects.filter(index=2).update(hash=LedgerLeaf.objects.get(index=1).hash)
    assert last.hash != LedgerLeaf.objects.get(index=2).hash


def lose_a_node() -> None:
    LedgerNode.objects.all().delete()


@pytest.mark.parametrize("tamper", [shrink, fork, lose_a_node])
@pytest.mark.parametrize("running", [False, True])
def test_a_smaller_or_forked_tree_is_not_signed(tamper: Any, running: bool) -> None:
    append(3)
    sealing = Sealing()
    sealing.look()
    before = checkpoint_files()
    with as_insider():
        tamper()
    append(2)

    with pytest.raises(LedgerBehind):
        (sealing if running else Sealing()).look()
    assert checkpoint_files() == before


def test_another_head_of_a_size_in_the_sink_stops_everything(outside: Path) -> None:
    append(3)
    Sealing().look()
    (file,) = checkpoint_files()
    with as_insider():
        Checkpoint.objects.all().delete()
        LedgerLeaf.objects.all().delete()
        LedgerNode.objects.all().delete()
        entry = LedgerEntry.objects.order_by("id")[0]
        LedgerEntry.objects.filter(pk=entry.pk).update(entry=entry.entry.replace("0", "7"))

    for _ in range(2):
        with pytest.raises(LedgerBehind):
            Sealing().look()
    assert checkpoint_files() == [file]


@pytest.mark.parametrize("text", ["", "nonsense", "a.b.c"])
def test_a_file_that_is_no_checkpoint_stops_everything(text: str) -> None:
    append(3)
    Sealing().look()
    (file,) = checkpoint_files()
    file.write_text(text)

    with pytest.raises(LedgerBehind):
        Sealing().look()


def test_an_emptied_sink_stops_everything() -> None:
    append(3)
    Sealing().look()
    (file,) = checkpoint_files()
    file.unlink()

    with pytest.raises(LedgerBehind):
        Sealing().look()


@pytest.mark.parametrize("size", [3, 5, 9])
def test_a_running_sealer_signs_no_second_tree_beside_anothers(size: int) -> None:
    """A copy of the database was sealed into the same sink, and never met a size of ours."""
    append(3)
    sealing = Sealing()
    sealing.look()
    claims = {"iss": django_settings.ISSUER_URL, "iat": 1, "size": size + 1, "root": "A" * 43}
    token = sign(claims, purpose=Purpose.CHECKPOINT).token
    sink.put_checkpoint(token, TreeHead(0, size + 1, "A" * 43))
    before = checkpoint_files()
    append(4)

    for _ in range(2):
        with pytest.raises(LedgerBehind):
            sealing.look()
    assert checkpoint_files() == before
