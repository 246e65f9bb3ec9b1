"""A restored older database: nothing is redeemed or sealed until the loss is declared (I2)."""

import json
from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import LedgerBehind, NothingToReconcile
from batchtokens.models import Checkpoint, LedgerEntry, LedgerLeaf, LedgerNode, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.find_decision import Found, find_decision
from batchtokens.services.ledger.reconcile_ledger import accept_loss
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import checkpoint_files, newest_checkpoint
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens_verifier.errors import OperationHeld
from tests import ledgers, mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> mandates.Savings:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def restored(world: mandates.Savings) -> Any:
    """A mandate in a database as it was before another one was issued, sealed and redeemed."""
    issued = ledgers.issue_daily(world)
    seal_more_and_lose_it(world)
    return issued


def seal_more_and_lose_it(world: mandates.Savings) -> None:
    Sealing().look()
    kept = LedgerLeaf.objects.count()
    other = ledgers.issue_daily(world)
    mandates.redeem(world, other, "lost")
    Sealing().look()
    with as_insider():
        go_back_to(kept)
    forget_sink()


def go_back_to(size: int) -> None:
    """Take away what a backup of this size does not have."""
    gone = list(LedgerLeaf.objects.filter(index__gte=size).values_list("entry_id", flat=True))
    first = LedgerEntry.objects.filter(pk__in=gone, seq=1).exclude(operation_token=None)
    tokens = list(first.values_list("operation_token_id", flat=True))
    LedgerLeaf.objects.filter(index__gte=size).delete()
    LedgerEntry.objects.filter(pk__in=gone).delete()
    for node in LedgerNode.objects.all():
        if (node.position + 1) << node.level > size:
            node.delete()
    Checkpoint.objects.filter(size__gt=size).delete()
    for token in OperationToken.objects.filter(pk__in=tokens):
        for redemption in token.redemptions.all():
            redemption.attempts.all().delete()
            redemption.delete()
        token.delete()


def all_findings() -> list[Any]:
    return [f for _, page in [*verify_ledger(), *verify_tree(whole_sink=True)] for f in page]


def test_nothing_is_redeemed_or_sealed(world: mandates.Savings, restored: Any) -> None:
    before = checkpoint_files()

    with pytest.raises(LedgerBehind):
        mandates.redeem(world, restored, "again")
    with pytest.raises(LedgerBehind):
        Sealing().look()
    assert checkpoint_files() == before
    assert [f.operation_id for f in all_findings()] == ["tree"]


def test_a_token_that_the_backup_does_not_know_is_not_refused_for_good(
    world: mandates.Savings, restored: Any
) -> None:
    with as_insider():
        OperationToken.objects.filter(pk=restored.row.pk).update(token_hash="x")

    with pytest.raises(LedgerBehind):
        mandates.redeem(world, restored, "again")


def test_an_answer_that_the_backup_knows_is_not_repeated(world: mandates.Savings) -> None:
    issued = ledgers.issue_daily(world)
    mandates.redeem(world, issued, "mine")
    seal_more_and_lose_it(world)

    with pytest.raises(LedgerBehind):  # it may have been settled or released since
        mandates.redeem(world, issued, "mine")


def all_entries() -> list[str]:
    return list(LedgerEntry.objects.values_list("entry", flat=True))


def test_a_loss_that_is_declared_lets_it_go_on(world: mandates.Savings, restored: Any) -> None:
    lost = newest_checkpoint()
    assert lost is not None
    kept = Checkpoint.objects.latest("size").size

    done = accept_loss(reason="the disk burned", actor="operator:olga")

    assert (done.lost, done.kept, done.held) == (lost.head, kept, 1)
    assert done.head.epoch == 1
    told = LedgerEntry.objects.filter(kind="reconciled").values_list("entry", flat=True)
    assert json.loads(told[0])["data"]["lost"]["root"] == lost.head.root
    assert not [text for text in all_entries() if "burned" in text or "olga" in text]
    found = find_decision(LedgerEntry.objects.get(kind="reconciled"))
    assert found == Found("operator:olga", "the disk burned", is_as_recorded=True)
    with pytest.raises(OperationHeld):
        mandates.redeem(world, restored, "again")
    ledgers.issue_daily(world)
    assert Sealing().look().head.epoch == 1  # type: ignore[union-attr]  # a head was sealed above
    assert all_findings() == []


def test_killed_in_between_it_is_declared_once(
    world: mandates.Savings, restored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("batchtokens.services.ledger.reconcile_ledger.publish", lambda head: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            accept_loss(reason="the disk burned")
    with pytest.raises(LedgerBehind):
        Sealing().look()

    accept_loss(reason="the disk burned")

    assert LedgerEntry.objects.filter(kind="reconciled").count() == 1
    assert all_findings() == []


def test_a_forged_declaration_opens_no_epoch(world: mandates.Savings, restored: Any) -> None:
    """Only the command does, which writes to the sink; the database alone cannot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchtokens.services.ledger.reconcile_ledger.publish", lambda head: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            accept_loss(reason="not told to anybody")

    with pytest.raises(LedgerBehind):
        mandates.redeem(world, restored, "again")
    assert "tree" in {finding.operation_id for finding in all_findings()}


def test_where_nothing_is_lost_nothing_is_declared(world: mandates.Savings) -> None:
    ledgers.issue_daily(world)
    Sealing().look()

    with pytest.raises(NothingToReconcile):
        accept_loss(reason="by mistake")


def test_a_sink_that_is_gone_stops_redemptions(world: mandates.Savings, settings: Any) -> None:
    issued = ledgers.issue_daily(world)
    Sealing().look()
    forget_sink()
    settings.LEDGER_SINK = settings.LEDGER_SINK / "elsewhere"

    with pytest.raises(LedgerBehind):
        mandates.redeem(world, issued)


def test_without_checkpoints_no_sink_is_needed(world: mandates.Savings) -> None:
    assert mandates.redeem(world, ledgers.issue_daily(world)).proceed


def test_a_head_that_is_not_stored_yet_stops_nothing(world: mandates.Savings) -> None:
    """The sink has it a moment before the database."""
    issued = ledgers.issue_daily(world)
    Sealing().look()
    with as_insider():
        Checkpoint.objects.all().delete()

    assert mandates.redeem(world, issued).proceed


@pytest.mark.parametrize("size", [10**6, 8])
def test_a_forged_row_does_not_vouch_for_an_older_database(
    world: mandates.Savings, restored: Any, size: int
) -> None:
    """What the database says of its own size decides nothing."""
    newest = newest_checkpoint()
    assert newest is not None
    size = max(size, newest.head.size)
    Checkpoint.objects.create(
        size=size, root=newest.head.root, token=newest.token, at=database_now()
    )

    with pytest.raises(LedgerBehind):
        mandates.redeem(world, restored, "again")
