"""services.reissue among edited rows, ledgers and queues: it signs what was signed, and no less."""

from __future__ import annotations

import json

import pytest

from accounts.crypto import seal
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import (
    HoldKind,
    LedgerEntry,
    OperationToken,
    QueuedRun,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.issuing.signatures import claims_context
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.reconcile_ledger import hold_all
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.canonical import b64url
from tests import insiders, mandates
from tests.guards import as_insider
from tests.reissues import (
    DAILY,
    compromise,
    fetch,
    kinds,
    reissue,
    stored,
)
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


def test_a_damaged_one_does_not_keep_the_others_waiting(
    world: mandates.Savings, issued: Issued
) -> None:
    damaged = mandates.issue(world).row
    compromise(issued)
    OperationToken.objects.filter(pk=damaged.pk).update(taken_count=1)

    (page,) = reissue_operations(among=reissuable(), reason="all honest")

    assert (page.signed, page.damaged) == ([issued.row.public_id], [damaged.public_id])
    assert OperationToken.objects.get(pk=damaged.pk).disowned_at is not None


def test_a_hold_of_the_systems_own_that_was_set_meanwhile_stays(
    world: mandates.Savings, issued: Issued
) -> None:
    """As after a restored backup: its ledger may have lost redemptions."""
    other = mandates.issue(world)
    compromise(issued)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.SYSTEM)
    hold_all("a restored backup", None)
    assert kinds(issued) == ["issued", "disowned", "held", "held"]
    assert kinds(other) == ["issued", "disowned", "held"]

    reissue()

    assert stored(issued).holds == stored(other).holds == ["system"]


def test_junk_in_the_queue_keeps_nothing_waiting(world: mandates.Savings, issued: Issued) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    QueuedRun.objects.filter(occurrence="o1").update(sealed=b"junk")
    compromise(issued)

    assert reissue() == [issued.row.public_id]
    jobs = [insiders.open_job(run) for run in QueuedRun.objects.all()]
    assert [job.operation_token for job in jobs] == [fetch(world, issued).operation_token] * 3


@pytest.mark.parametrize("seq", [1, 2])
def test_an_entry_that_was_taken_out_keeps_no_other_waiting(
    world: mandates.Savings, issued: Issued, seq: int
) -> None:
    other = mandates.issue(world)
    mandates.redeem(world, other)
    compromise(issued)
    with as_insider():
        LedgerEntry.objects.filter(operation_token=other.row, seq=seq).delete()

    assert issued.row.public_id in reissue()
    assert stored(other).holds == ["system"]


def test_never_signs_claims_of_another_operation(world: mandates.Savings, issued: Issued) -> None:
    other = mandates.issue(world)
    compromise(issued)
    sealed = stored(other).claims_sealed
    OperationToken.objects.filter(pk=issued.row.pk).update(claims_sealed=sealed)

    assert reissue() == [other.row.public_id]
    assert stored(issued).disowned_at is not None


def test_never_signs_claims_that_the_ledger_does_not_tell_of(
    world: mandates.Savings, issued: Issued
) -> None:
    """Somebody who holds the seal's key, too, makes a mandate last for ever."""
    claims = claims_of(issued.token) | {"exp": 4_102_444_800}
    sealed = seal(
        b64url(json.dumps(claims).encode()).encode(),
        context=claims_context(issued.row.public_id),
    )
    OperationToken.objects.filter(pk=issued.row.pk).update(claims_sealed=sealed)
    compromise(issued)

    assert reissue() == []
