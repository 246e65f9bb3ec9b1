"""What /metrics says moves with what happens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import ApiKey, OutgoingEmail
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, QueuedRun, RunState, Status
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.settle import Closing, settle_redemption
from batchtokens.services.redemption.stop_executor import start_executor, stop_executor
from batchtokens.services.reports import report_missed as reports
from batchtokens.services.reports.measure_work import count_token_states
from batchtokens_verifier.errors import ExecutorStopped
from tests import mandates
from tests.batches import line, send
from tests.rest import OPERATIONS, REDEMPTIONS, Caller, job, machine
from tests.scrapes import TOKEN, scrape, value

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def on(settings: Settings, tmp_path: Path) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.LEDGER_SINK = tmp_path


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=100)


@pytest.fixture
def executor(world: mandates.Savings) -> Caller:
    return machine(world.executor)


def gained(before: Any, name: str, **labels: str) -> float:
    return value(scrape(), name, **labels) - value(before, name, **labels)


def queued(world: mandates.Savings, **changes: Any) -> None:
    """Leave a run in the queue, as it is after these changes."""
    issued = mandates.issue(world)
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    QueuedRun.objects.filter(operation_token=issued.row).update(**changes)


def test_a_missed_run_shows_at_its_executor(world: mandates.Savings) -> None:
    mandates.issue(world, schedule="FREQ=DAILY;COUNT=2", due_window="PT2H", max_occurrences=2)
    assert value(scrape(), "missed_runs", executor="savings") == 0

    assert sum(reports.report_missed(now=database_now() + timedelta(hours=20))) == 1

    assert value(scrape(), "missed_runs", executor="savings") == 1


def test_missed_runs_are_counted_up_to_a_bound(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mandates.issue(world, schedule="FREQ=DAILY;COUNT=3", due_window="PT2H", max_occurrences=3)
    assert sum(reports.report_missed(now=database_now() + timedelta(days=2, hours=20))) == 3
    monkeypatch.setattr(reports, "MOST_COUNTED", 2)
    assert reports.missed_by_executor(now=database_now()) == {"savings": 2}


def test_a_due_run_waits_until_a_worker_takes_it(world: mandates.Savings) -> None:
    now = database_now()
    queued(world, next_attempt_at=now - 2 * MINUTE)
    queued(world, next_attempt_at=now - MINUTE)
    queued(world, next_attempt_at=now + MINUTE)
    queued(world, state=RunState.LEASED, leased_until=now + MINUTE)

    found = scrape()

    assert value(found, "queue_waiting_runs") == 2
    assert 120 <= value(found, "queue_oldest_waiting_seconds") < 180
    assert value(found, "queue_abandoned_runs") == 0


def test_a_run_whose_worker_did_not_come_back_is_abandoned(world: mandates.Savings) -> None:
    queued(world, state=RunState.LEASED, leased_until=database_now() - MINUTE)
    found = scrape()
    assert (value(found, "queue_abandoned_runs"), value(found, "queue_waiting_runs")) == (1, 0)


@pytest.mark.parametrize(("hours", "counted"), [(23, 1), (25, 0)])
def test_a_dead_run_counts_for_a_day(world: mandates.Savings, hours: int, counted: int) -> None:
    queued(world, state=RunState.DEAD, finished_at=database_now() - timedelta(hours=hours))
    assert value(scrape(), "queue_dead_runs") == counted


def test_a_lease_that_ended_is_in_doubt_until_it_is_settled(
    world: mandates.Savings, settings: Settings
) -> None:
    settings.REDEMPTION_LEASE = timedelta(0)
    answer = mandates.redeem(world, mandates.issue(world))
    found = scrape()
    assert value(found, "redemptions_in_doubt") == 1
    assert 0 < value(found, "redemptions_oldest_in_doubt_seconds") < 60

    settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1, ""))

    assert value(scrape(), "redemptions_in_doubt") == 0


def test_a_reservation_within_its_lease_is_in_no_doubt(world: mandates.Savings) -> None:
    mandates.redeem(world, mandates.issue(world))
    assert value(scrape(), "redemptions_in_doubt") == 0


def test_operation_tokens_are_counted_by_the_state_that_people_see(
    world: mandates.Savings, settings: Settings
) -> None:
    active, held, cancelled, completed, disowned = (mandates.issue(world).row for _ in range(5))
    expired = mandates.issue(world, valid_to=mandates.in_days(0.01)).row
    hold_operation(operation_id=held.pk, by=HoldKind.USER)
    cancel_operation(operation_id=cancelled.pk, by=HoldKind.USER)
    OperationToken.objects.filter(pk=disowned.pk).update(disowned_at=active.issued_at)
    OperationToken.objects.filter(pk=completed.pk).update(
        max_occurrences=1, taken_count=1, settled_count=1
    )
    now = expired.valid_to

    states = [token.status_at(now) for token in OperationToken.objects.all()]

    assert count_token_states(now=now) == {state: states.count(state) for state in Status}
    assert set(states) == set(Status)
    assert value(scrape(), "operation_tokens", state="held") == 2


def test_a_breaker_and_staff_are_told_apart(world: mandates.Savings) -> None:
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=1), reason="test")
    mandates.redeem(world, mandates.issue(world), "1")
    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, mandates.issue(world), "2")
    found = scrape()
    assert value(found, "executors_stopped", by="breaker") == 1
    assert value(found, "executors_stopped", by="staff") == 0

    start_executor(executor=world.redeemer, reason="looked into it")
    stop_executor(executor=world.redeemer, reason="for the night")

    found = scrape()
    assert value(found, "executors_stopped", by="breaker") == 0
    assert value(found, "executors_stopped", by="staff") == 1


def test_a_stopped_type_is_counted(world: mandates.Savings) -> None:
    switch_operation_type(name="savings.deposit", is_active=False)
    assert value(scrape(), "operation_types_stopped") == 1


def test_the_sealers_lag_ends_with_a_checkpoint() -> None:
    ensure_signing_keys()
    at = database_now() - MINUTE
    LedgerEntry.objects.create(seq=1000, kind="key_added", at=at, entry="{}", hash="h")
    found = scrape()
    assert 0 < value(found, "ledger_unsealed_seconds") < 120
    assert ("ledger_checkpoint_age_seconds", frozenset()) not in found

    Sealing().look()

    found = scrape()
    assert value(found, "ledger_unsealed_seconds") == 0
    assert 0 <= found["ledger_checkpoint_age_seconds", frozenset()] < 60


def test_a_key_that_does_not_open_is_none(settings: Settings) -> None:
    ensure_signing_keys(now=database_now() - timedelta(days=2))
    found = scrape()
    assert value(found, "signing_key_active", purpose="receipt") == 1
    assert 172_800 <= value(found, "signing_key_age_seconds", purpose="receipt") < 172_900

    forget_key_ring()
    settings.FIELD_ENCRYPTION_KEYS = [bytes(range(32))]

    assert scrape()["signing_key_active", frozenset({("purpose", "receipt")})] == 0


@pytest.mark.parametrize(("days", "counted"), [(13, 1), (15, 0)])
def test_a_clients_key_that_ends_soon_is_counted(
    world: mandates.Savings, days: int, counted: int
) -> None:
    ends = database_now() + timedelta(days=days)
    ApiKey.objects.filter(client=world.redeemer).update(expires_at=ends)
    assert value(scrape(), "client_keys_expiring") == counted


def test_an_email_that_nobody_sends_is_seen(world: mandates.Savings) -> None:
    due = database_now() - MINUTE
    OutgoingEmail.objects.create(kind="password_changed", user=world.alice, due_at=due)
    assert 60 <= value(scrape(), "email_oldest_due_seconds") < 120


def test_redemptions_and_refusals_are_counted_by_their_codes(
    world: mandates.Savings, executor: Caller
) -> None:
    before, issued = scrape(), mandates.issue(world)
    tampered = {**mandates.OPERATION, "reference": "another"}

    executor.post(REDEMPTIONS, job(issued), key="1")
    executor.post(REDEMPTIONS, job(issued), key="1")
    executor.post(REDEMPTIONS, job(issued, operation=tampered), key="2")
    executor.get(f"{REDEMPTIONS}/rdm_nothing")

    assert gained(before, "redemptions_total", verdict="reserved") == 1
    assert gained(before, "redemptions_total", verdict="repeated") == 1
    assert gained(before, "redemptions_total", verdict="operation_mismatch") == 1
    assert gained(before, "refusals_total", code="operation_mismatch") == 1
    assert gained(before, "refusals_total", code="not_found") == 1
    assert gained(before, "redemptions_total", verdict="not_found") == 0


def test_a_batch_counts_line_by_line(world: mandates.Savings, executor: Caller) -> None:
    before = scrape()
    first, second = mandates.issue(world), mandates.issue(world)

    send(executor, line(first, "1"), line(second, "2"), line(first, "3"), b"{}")
    send(executor, line(first, "1"))

    assert gained(before, "redemptions_total", verdict="reserved") == 2
    assert gained(before, "redemptions_total", verdict="repeated") == 1
    assert gained(before, "redemptions_total", verdict="slot_already_redeemed") == 1
    assert gained(before, "redemptions_total", verdict="invalid") == 1


def test_requests_are_counted_by_view_and_never_by_what_was_sent() -> None:
    client, before = Client(), scrape()
    client.get(f"{OPERATIONS}/op_01a201aa817073c9948f7a9b8989333b")
    client.get(f"{OPERATIONS}/op_01a201aa817073c9948f7a9b8989333c")
    client.get("/made-up/secret-of-somebody")
    client.generic("BREW", "/livez")

    found = scrape(client)

    again = {"view": "operation", "method": "GET"}
    assert gained(before, "http_requests_total", **again, status="401") == 2
    assert gained(before, "http_request_duration_seconds_count", **again) == 2
    labels = {word for _, pairs in found for _, word in pairs}
    assert {"unresolved", "other"} <= labels
    assert not any("op_" in word or "made-up" in word or word == "BREW" for word in labels)


def test_a_status_list_that_was_served_leaves_its_instant(world: mandates.Savings) -> None:
    ensure_signing_keys()
    before = scrape()
    places = mandates.issue(world).row.status_list
    assert places is not None
    assert Client().get(f"/oauth/status/{places.public_id}").status_code == 200
    assert gained(before, "status_list_served_timestamp_seconds") > 0
