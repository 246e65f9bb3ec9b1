"""manage.py revoke_tokens --type operation: cancel many, for ever, once each."""

import json
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.management.base import NothingMatched, PartialFailure, Stop, UsageError
from authproject.management import operations_to_revoke
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, QueuedRun, RunState
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation, cancel_operations
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.errors import OperationRevoked
from tests import factories, mandates
from tests.crowds import multiply_mandate
from tests.interruptions import interrupted_in_the_third_batch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=100_000)


def run(*words: str) -> Any:
    out = StringIO()
    call_command("revoke_tokens", "--type=operation", *words, "--yes", "--format=json", stdout=out)
    return json.loads(out.getvalue())


def cancelled() -> set[str]:
    rows = OperationToken.objects.exclude(cancelled_at=None)
    return {row.public_id for row in rows}


def test_cancels_what_lives_and_sets_its_runs_aside(world: mandates.Savings) -> None:
    queued, held, over = (mandates.issue(world) for _ in range(3))
    enqueue_operation_token(
        by=world.trigger.client, token=queued.token, operation=mandates.OPERATION
    )
    hold_operation(operation_id=held.row.pk, by=HoldKind.USER)
    cancel_operation(operation_id=over.row.pk, by=HoldKind.USER)

    told = run("--all", "--reason=drill")

    assert told == {"id": "operation", "found": 2, "revoked": 2}
    assert OperationToken.objects.filter(cancelled_at=None).count() == 0
    assert LedgerEntry.objects.filter(kind="cancelled").count() == 3
    entry = LedgerEntry.objects.filter(operation_token=queued.row).latest("seq")
    assert (json.loads(entry.entry)["data"]["by"], entry.note) == ("staff", "drill")
    assert set(QueuedRun.objects.values_list("state", "code")) == {
        (RunState.DEAD, OperationRevoked.code)
    }
    with pytest.raises(OperationRevoked):
        mandates.redeem(world, queued)
    assert list(verify_ledger()) == [(3, [])]


def test_a_second_call_finds_nothing(world: mandates.Savings) -> None:
    mandates.issue(world)
    run("--all", "--reason=drill")
    with pytest.raises(NothingMatched):
        run("--all", "--reason=drill")
    assert LedgerEntry.objects.filter(kind="cancelled").count() == 1


@pytest.mark.parametrize(
    "words",
    ["--user=alice", "--client=trigger", "--operation-type=savings.deposit", "--key={kid}"],
)
def test_selects_by_whom_and_what_it_concerns(world: mandates.Savings, words: str) -> None:
    mine, other = mandates.issue(world), mandates.issue(world)
    stranger = factories.service_client("stranger").client
    OperationToken.objects.filter(pk=other.row.pk).update(
        user=factories.bob(), client=stranger, type_name="other", kid="another"
    )

    run(words.format(kid=mine.row.kid), "--reason=drill")

    assert cancelled() == {mine.row.public_id}


def test_selects_by_age(world: mandates.Savings) -> None:
    old, _ = mandates.issue(world), mandates.issue(world)
    past = timezone.now() - timedelta(days=40)
    OperationToken.objects.filter(pk=old.row.pk).update(issued_at=past)
    run("--older-than=30d", "--reason=drill")
    assert cancelled() == {old.row.public_id}


def test_a_dry_run_counts_and_changes_nothing(world: mandates.Savings) -> None:
    mandates.issue(world)
    assert run("--all", "--dry-run") == {"id": "operation", "found": 1, "revoked": 0}
    assert cancelled() == set()


@pytest.mark.parametrize(
    ("words", "stop"),
    [
        (["--reason=x"], UsageError),
        (["--all"], UsageError),
        (["--all", f"--reason={'x' * 501}"], UsageError),
        (["--ip=192.0.2.1", "--reason=x"], UsageError),
        (["--user=nobody", "--reason=x"], NothingMatched),
        (["--client=nobody", "--reason=x"], NothingMatched),
        (["--operation-type=nothing", "--reason=x"], NothingMatched),
        (["--key=nothing", "--reason=x"], NothingMatched),
    ],
    ids=lambda value: "-".join(value)[:30] if isinstance(value, list) else value.__name__,
)
def test_refuses_what_it_cannot_do(
    world: mandates.Savings, words: list[str], stop: type[Stop]
) -> None:
    mandates.issue(world)
    with pytest.raises(stop):
        run(*words)
    assert cancelled() == set()


def test_its_options_select_no_sessions() -> None:
    with pytest.raises(UsageError):
        call_command("revoke_tokens", "--client=trigger", "--yes")


def test_goes_on_where_it_was_interrupted(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiply_mandate(mandates.issue(world).row, 9)
    with interrupted_in_the_third_batch(monkeypatch, size=4):
        run("--all", "--reason=drill")
    assert len(cancelled()) == 8

    assert run("--all", "--reason=drill")["revoked"] == 2
    assert LedgerEntry.objects.filter(kind="cancelled").count() == 10


def test_damaged_ones_are_left_and_told(world: mandates.Savings) -> None:
    damaged, sound = mandates.issue(world), mandates.issue(world)
    OperationToken.objects.filter(pk=damaged.row.pk).update(taken_count=1)
    with pytest.raises(PartialFailure, match="1 "):
        run("--all", "--reason=drill")
    assert cancelled() == {sound.row.public_id}


@pytest.mark.slow
def test_ten_thousand_are_cancelled_in_seconds(world: mandates.Savings) -> None:
    multiply_mandate(mandates.issue(world).row, 9999)
    begun = time.monotonic()
    assert run("--all", "--reason=drill")["revoked"] == 10_000
    if connection.vendor == "postgresql":
        assert time.monotonic() - begun < 60
    assert LedgerEntry.objects.filter(kind="cancelled").count() == 10_000


def test_what_is_issued_meanwhile_is_not_called_damaged(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mandates.issue(world)

    def busy(*given: Any, **named: Any) -> list[int]:
        done = list(cancel_operations(*given, **named))
        mandates.issue(world)
        return done

    monkeypatch.setattr(operations_to_revoke, "cancel_operations", busy)

    assert run("--all", "--reason=drill")["revoked"] == 1
    assert cancelled() == {first.row.public_id}
