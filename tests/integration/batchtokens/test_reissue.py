"""services.disown, services.reissue: a compromised key ends its signatures, not the mandates."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.crypto import seal
from accounts.models import ServiceClient, SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.tokens.keyring import current_key_ring, load_key_ring
from batchtokens.errors import NoNewToken, OperationFinal, OperationNotFound
from batchtokens.models import (
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
    QueuedRun,
    RunState,
    Status,
)
from batchtokens.services.disown import disown_operations
from batchtokens.services.enqueue import enqueue_operation_token
from batchtokens.services.fetch_token import Fetched, fetch_reissued_token
from batchtokens.services.hold import hold_operation
from batchtokens.services.introspect import introspect_operation_token
from batchtokens.services.issue import Issued
from batchtokens.services.reissue import reissuable, reissue_operations
from batchtokens.services.revoke import cancel_operation
from batchtokens.services.signatures import claims_context
from batchtokens.services.verify_ledger import verify_ledger
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.errors import (
    OperationTokenNotValid,
    ProblemError,
    SlotAlreadyRedeemed,
)
from batchtokens_verifier.jws import Purpose
from tests import factories, insiders, mandates
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db(transaction=True)
DAILY: dict[str, Any] = {
    "schedule": "FREQ=DAILY;COUNT=3",
    "due_window": "PT12H",
    "periodic_limits": None,
}


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


def compromise(issued: Issued) -> OperationToken:
    """Find the key compromised that signed this; return the row as it is then."""
    retire_signing_key(kid=issued.row.kid, reason="found in a backup", compromised=True)
    return stored(issued)


def stored(issued: Issued) -> OperationToken:
    return OperationToken.objects.get(pk=issued.row.pk)


def reissue() -> list[str]:
    pages = reissue_operations(among=reissuable(), reason="all honest")
    return [each for page in pages for each in page.signed]


def fetch(world: mandates.Savings, issued: Issued, by: ServiceClient | None = None) -> Fetched:
    return fetch_reissued_token(by=by or world.trigger.client, public_id=issued.row.public_id)


def renewed(world: mandates.Savings, issued: Issued) -> Issued:
    return Issued(fetch(world, issued).operation_token, stored(issued))


def kinds(issued: Issued) -> list[str]:
    entries = LedgerEntry.objects.filter(operation_token=issued.row.pk).order_by("seq")
    return list(entries.values_list("kind", flat=True))


def check_ledger() -> None:
    assert [found for _, findings in verify_ledger() for found in findings] == []


def trust_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a process that has not heard of the compromised key yet."""
    ring = current_key_ring()
    monkeypatch.setattr("batchtokens.services.redeem.current_key_ring", lambda **_: ring)


def test_disowns_what_the_key_signed_and_nothing_else(world: mandates.Savings) -> None:
    before = mandates.issue(world)
    rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.OPERATION])
    after = mandates.issue(world)

    row = compromise(before)

    assert row.disowned_at is not None
    assert (row.holds, row.status_at(timezone.now())) == (["system"], Status.HELD)
    assert kinds(before) == ["issued", "disowned"]
    assert (kinds(after), stored(after).disowned_at) == (["issued"], None)
    check_ledger()


def test_old_bytes_are_refused_at_once_even_where_the_key_is_still_believed(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_all_keys(monkeypatch)

    compromise(issued)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, issued)


def test_a_hold_that_was_lifted_does_not_bring_the_old_bytes_back(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_all_keys(monkeypatch)
    compromise(issued)
    OperationToken.objects.update(holds=[])  # and its ledger's head with it, which I15 would see

    with pytest.raises(ProblemError) as refusal:
        mandates.redeem(world, issued)

    assert refusal.value.code in {"ledger_broken", "operation_token_not_valid"}


def test_a_broken_chain_does_not_keep_a_key_alive(world: mandates.Savings, issued: Issued) -> None:
    other = mandates.issue(world)
    OperationToken.objects.filter(pk=other.row.pk).update(taken_count=1)

    assert compromise(issued).disowned_at is not None
    assert stored(other).disowned_at is None  # it runs nowhere: I15


def test_a_forged_token_of_the_stolen_key_has_no_row_that_bears_it(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_all_keys(monkeypatch)
    forged = insiders.alter(issued.token)
    compromise(issued)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, Issued(forged, issued.row), operation=insiders.EDITED)


def test_introspection_calls_it_inactive(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)

    assert introspect_operation_token(by=world.redeemer, token=issued.token) == {"active": False}


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


def test_one_cancelled_after_the_reissue_is_not_handed_out(
    world: mandates.Savings, issued: Issued
) -> None:
    compromise(issued)
    reissue()
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

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


def test_what_was_signed_meanwhile_is_disowned_by_the_next_sweep(
    world: mandates.Savings, issued: Issued
) -> None:
    compromise(issued)
    late = mandates.issue(world)
    OperationToken.objects.filter(pk=late.row.pk).update(kid=issued.row.kid)

    assert disown_operations(kid=issued.row.kid, reason="again") == 1
    assert disown_operations(kid=issued.row.kid, reason="again") == 0
    assert kinds(late) == ["issued", "disowned"]


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


def test_waits_until_fetched_then_for_a_day(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    reissue()
    late = timezone.now() + timedelta(days=2)
    by, public_id = world.trigger.client, issued.row.public_id

    first = fetch_reissued_token(by=by, public_id=public_id, now=late)
    again = fetch_reissued_token(by=by, public_id=public_id, now=late + timedelta(hours=23))

    assert again.operation_token == first.operation_token
    with pytest.raises(NoNewToken):
        fetch_reissued_token(by=by, public_id=public_id, now=late + timedelta(hours=24))


def test_only_its_trigger_fetches_it(world: mandates.Savings, issued: Issued) -> None:
    other = factories.service_client("other", scopes=["token_exchange"]).client
    compromise(issued)
    reissue()

    for stranger in (other, world.redeemer):
        with pytest.raises(OperationNotFound):
            fetch(world, issued, by=stranger)


def test_hands_out_nothing_that_was_not_signed_anew(
    world: mandates.Savings, issued: Issued
) -> None:
    with pytest.raises(NoNewToken):
        fetch(world, issued)


def test_keys_are_in_the_authoritys_chain(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    access = current_key_ring().signing_key(Purpose.ACCESS, timezone.now()).kid
    retire_signing_key(kid=access, reason="drill")

    chain = LedgerEntry.objects.filter(operation_token=None).order_by("seq")
    told = [(e.kind, json.loads(e.entry)["data"]["kid"]) for e in chain]
    assert [kind for kind, _ in told[: len(Purpose)]] == [EntryKind.KEY_ADDED] * len(Purpose)
    assert (EntryKind.KEY_COMPROMISED, issued.row.kid) in told
    assert (EntryKind.KEY_RETIRED, access) in told
    assert {kid for _, kid in told} == set(SigningKey.objects.values_list("kid", flat=True))


def test_a_superseded_key_is_published_until_its_last_token_ends(world: mandates.Savings) -> None:
    longest = mandates.issue(world, valid_to=mandates.in_days(40)).row
    mandates.issue(world)
    rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.OPERATION])

    def published(at: datetime) -> bool:
        return load_key_ring(now=at).has(longest.kid)

    assert published(longest.valid_to - timedelta(seconds=1))
    assert not published(longest.valid_to)
