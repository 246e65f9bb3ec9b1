"""services.reissue: the same claims with another key, and no slot opens again."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import NoNewToken, OperationFinal
from batchtokens.models import (
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
    QueuedRun,
    RunState,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.introspect import introspect_operation_token
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.errors import (
    OperationTokenNotValid,
    SlotAlreadyRedeemed,
)
from tests import bulk, insiders, mandates
from tests.reissues import (
    DAILY,
    check_ledger,
    compromise,
    fetch,
    kinds,
    reissue,
    renewed,
    stored,
)
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


def test_signs_the_same_claims_anew(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)

    assert reissue() == [issued.row.public_id]

    new = renewed(world, issued)
    assert claims_of(new.token) == claims_of(issued.token)
    assert header_of(new.token)["kid"] != header_of(issued.token)["kid"]
    assert (new.row.holds, new.row.disowned_at) == ([], None)
    assert kinds(issued) == ["issued", "disowned", "reissued"]
    assert introspect_operation_token(by=world.redeemer, token=new.token)["active"] is True
    check_ledger()


def test_the_entry_names_the_new_bytes(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    reissue()

    entry = LedgerEntry.objects.get(kind=EntryKind.REISSUED)
    data = json.loads(entry.entry)["data"]
    row = stored(issued)
    assert (data["jws"], data["kid"]) == (row.jws_digest, row.kid)
    assert data["kid"] != issued.row.kid


def test_a_redeemed_slot_stays_redeemed(world: mandates.Savings, issued: Issued) -> None:
    first = mandates.redeem(world, issued)
    compromise(issued)
    reissue()
    new = renewed(world, issued)

    with pytest.raises(SlotAlreadyRedeemed) as refusal:
        mandates.redeem(world, new, "another key")

    assert refusal.value.redemption_id == first.redemption.pk
    check_ledger()


def test_old_bytes_are_refused_after_the_reissue_and_new_ones_are_not(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    compromise(issued)
    reissue()
    new = renewed(world, issued)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, issued)
    assert mandates.redeem(world, new).proceed


def test_a_cancelled_one_stays_cancelled(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    assert reissue() == []
    with pytest.raises(OperationFinal):
        fetch(world, issued)


@pytest.mark.parametrize("kind", [HoldKind.USER, HoldKind.CLIENT, HoldKind.STAFF, HoldKind.SYSTEM])
def test_other_holds_stay(world: mandates.Savings, issued: Issued, kind: HoldKind) -> None:
    hold_operation(operation_id=issued.row.pk, by=kind)
    compromise(issued)
    reissue()

    assert stored(issued).holds == [kind.value]


def test_a_switched_off_persons_stay_held(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    world.alice.is_active = False
    world.alice.save()

    reissue()

    assert stored(issued).holds == ["system"]


def test_the_queue_gets_the_new_token(world: mandates.Savings, issued: Issued) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    compromise(issued)
    reissue()

    new = fetch(world, issued).operation_token
    runs = list(QueuedRun.objects.all())
    assert len(runs) == 3
    assert {insiders.open_job(run).operation_token for run in runs} == {new}


@pytest.mark.parametrize(
    ("state", "code"),
    [(RunState.LEASED, ""), (RunState.DEAD, OperationTokenNotValid.code)],
)
def test_runs_refused_for_the_old_signature_are_tried_again(
    world: mandates.Savings, issued: Issued, state: RunState, code: str
) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    compromise(issued)
    finished = timezone.now() if state == RunState.DEAD else None
    QueuedRun.objects.update(state=state, code=code, finished_at=finished, lease_owner="worker")

    reissue()

    assert set(QueuedRun.objects.values_list("state", "lease_owner", "finished_at")) == {
        ("pending", "", None)
    }


@pytest.mark.parametrize("state", [RunState.DONE, RunState.DEAD])
def test_other_finished_runs_stay(world: mandates.Savings, issued: Issued, state: RunState) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    compromise(issued)
    QueuedRun.objects.update(state=state, code="limit_exceeded", finished_at=timezone.now())

    reissue()

    assert set(QueuedRun.objects.values_list("state", flat=True)) == {state.value}


def test_reissues_once(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    reissue()
    row = stored(issued)

    assert reissue() == []
    assert stored(issued).jws_digest == row.jws_digest


def test_reissues_again_where_the_next_key_is_compromised_too(
    world: mandates.Savings, issued: Issued
) -> None:
    compromise(issued)
    reissue()
    second = renewed(world, issued)
    compromise(second)
    with pytest.raises(NoNewToken):
        fetch(world, issued)

    reissue()

    third = renewed(world, issued)
    assert mandates.redeem(world, third).proceed
    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, second, "another")
    check_ledger()


def test_reports_what_it_cannot_sign(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    OperationToken.objects.update(claims_sealed=None)

    (page,) = reissue_operations(among=reissuable(), reason="all honest")

    assert (page.signed, page.lost) == ([], [issued.row.public_id])
    assert kinds(issued) == ["issued", "disowned"]


def test_takes_the_claims_of_earlier_releases_from_the_queue(
    world: mandates.Savings, issued: Issued
) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    OperationToken.objects.update(claims_sealed=None)
    compromise(issued)

    assert reissue() == [issued.row.public_id]


def test_signs_anew_what_was_issued_in_bulk(world: mandates.Savings) -> None:
    (outcome,) = bulk.issue(bulk.line())
    issued = Issued(outcome.token, OperationToken.objects.get())
    compromise(issued)
    reissue()

    new = renewed(world, issued)

    assert claims_of(new.token) == claims_of(issued.token)
    assert claims_of(new.token)["status"]["status_list"]["idx"] == issued.row.status_index
    assert mandates.redeem(world, new).proceed
