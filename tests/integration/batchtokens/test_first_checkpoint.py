"""services.check_ledger_head, around the first checkpoint that there ever is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from batchtokens.errors import LedgerBehind
from batchtokens.models import LedgerLeaf, LedgerNode
from batchtokens.services.ledger import check_ledger_head as module
from batchtokens.services.ledger.check_ledger_head import check_ledger_head
from batchtokens.services.ledger.seal import Sealing
from tests import mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process remember what it saw for the whole test, however slow the machine is."""
    monkeypatch.setattr(module, "MAX_AGE", 3600.0)


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> mandates.Savings:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    world = mandates.savings()
    mandates.issue(world)
    return world


def sealed_size() -> int:
    head = Sealing().look().head
    assert head
    return head.size


def test_who_saw_an_empty_sink_looks_again_at_the_first_checkpoint(
    world: mandates.Savings,
) -> None:
    check_ledger_head(0)

    check_ledger_head(sealed_size())


def test_redeems_on_before_and_after_the_first_checkpoint(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    assert mandates.redeem(world, issued).proceed
    sealed_size()

    assert mandates.redeem(world, issued).proceed  # the same key, in the same process


def test_a_statement_from_before_it_belongs_to_no_older_database(world: mandates.Savings) -> None:
    check_ledger_head(sealed_size())

    check_ledger_head(0)  # the tree itself is asked, and holds it


def test_a_tree_that_lacks_it_is_behind(world: mandates.Savings) -> None:
    check_ledger_head(sealed_size())
    with as_insider():
        LedgerLeaf.objects.all().delete()
        LedgerNode.objects.all().delete()

    with pytest.raises(LedgerBehind):
        check_ledger_head(0)


def test_a_sealed_ledger_with_an_empty_sink_is_refused(
    world: mandates.Savings, settings: Any
) -> None:
    size = sealed_size()
    shutil.rmtree(settings.LEDGER_SINK)
    module.forget_sink()

    with pytest.raises(LedgerBehind):
        check_ledger_head(size)
