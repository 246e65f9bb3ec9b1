"""Proofs for many entries: as many statements for fifty as for five, and each leads to the root."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import LedgerBroken
from batchtokens.models import HoldKind, LedgerEntry, LedgerNode, OperationToken
from batchtokens.services.ledger.prove import prove_entries
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.reports.collect_evidence import collect_evidence
from batchtokens_verifier.checkpoints import TreeHead, verify_entry_included
from tests import mandates
from tests.budgets import is_own
from tests.guards import as_insider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def world(settings: Any, tmp_path: Any) -> mandates.Savings:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    return mandates.savings()


def sealed_history(world: mandates.Savings, entries: int) -> OperationToken:
    """Issue a mandate, and hold and resume it until it has so many entries."""
    row = mandates.issue(world).row
    for number in range(entries - 1):
        change = resume_operation if number % 2 else hold_operation
        change(operation_id=row.pk, by=HoldKind.STAFF, words=Words("usr_1", "a call"))
    return OperationToken.objects.select_related("user", "client", "executor", "consent").get(
        pk=row.pk
    )


def entries_of(row: OperationToken) -> list[LedgerEntry]:
    return list(row.ledger_entries.select_related("leaf").order_by("seq"))


def statements(action: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        action()
    return sum(is_own(query["sql"]) for query in captured)


def test_evidence_of_fifty_entries_costs_what_five_cost(world: mandates.Savings) -> None:
    short, long = (sealed_history(world, entries) for entries in (5, 50))
    Sealing().look()
    collect_evidence(short)  # what a process asks once

    counted = [statements(partial(collect_evidence, row)) for row in (short, long)]

    assert counted[0] == counted[1]


def test_fifty_proofs_cost_what_five_cost_and_all_lead_to_the_root(world: mandates.Savings) -> None:
    entries = entries_of(sealed_history(world, 55))
    assert prove_entries(entries) == []
    Sealing().look()
    entries = entries_of(OperationToken.objects.get())

    few, many = (statements(partial(prove_entries, part)) for part in (entries[:5], entries[5:]))

    assert few == many == 3
    for proof in prove_entries(entries):
        head = TreeHead(0, proof.checkpoint.size, proof.checkpoint.root)
        verify_entry_included(proof.entry.encode(), index=proof.index, proof=proof.proof, head=head)


def test_a_node_that_is_gone_proves_nothing(world: mandates.Savings) -> None:
    row = sealed_history(world, 9)
    Sealing().look()
    with as_insider():
        LedgerNode.objects.all().delete()

    with pytest.raises(LedgerBroken):
        prove_entries(entries_of(row))
