"""A restore and whoever decides meanwhile lock in one order: they wait, and no circle closes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.services.lock_person import lock_person
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring, forget_key_ring
from batchtokens.models import OperationType
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.export_ledger import export_ledger
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.freeze_operations import freeze_operations
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from batchtokens.services.recovery import lock_restored, restore_ledger
from batchtokens.services.recovery.repeat_decisions import repeat_decisions
from batchtokens.services.redemption.stop_executor import start_executor, stop_executor
from batchtokens_verifier.jws import Purpose
from tests import ledgers, mandates
from tests.copies import copied
from tests.forged_exports import with_a_last_second
from tests.races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.race]


@dataclass
class Night:
    """The copy is in place. quiet: nothing of it is lost, but the export goes on after the head."""

    world: mandates.Savings
    redeemed: Issued
    quiet: Issued
    export: Sequence[str]


@pytest.fixture
def night(settings: Any, tmp_path: Path) -> Iterator[Night]:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.exact()
    mandates.consent(world)  # open, in the copy as well
    OperationType.objects.update(consent="scope")
    world.kind.refresh_from_db()
    quiet, redeemed = ledgers.issue_daily(world), ledgers.issue_daily(world)
    Sealing().look()
    with copied(tmp_path) as put_back:
        stop_executor(executor=world.redeemer, reason="for the night")
        start_executor(executor=world.redeemer, reason="it is morning")
        switch_operation_type(name=world.kind.name, is_active=False)
        switch_operation_type(name=world.kind.name, is_active=True)
        retire_signing_key(kid=status_key(), reason="old")
        mandates.redeem(world, redeemed)
        ledgers.issue_daily(world)  # a token that the copy has no row of
        Sealing().look()
        export = with_a_last_second(list(export_ledger()), quiet.row.token_hash)
        put_back()
        forget_sink()
        forget_key_ring()
        yield Night(world, redeemed, quiet, export)


def status_key() -> str:
    return current_key_ring().signing_key(Purpose.STATUS, timezone.now()).kid


def somebody_waits() -> bool:
    """Ask on a connection of its own: the restore's own is in its transaction."""
    values = connection.settings_dict
    url = {"host": values["HOST"], "port": values["PORT"], "user": values["USER"]}
    with psycopg.connect(**url, password=values["PASSWORD"], dbname=values["NAME"]) as own:
        row = own.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return bool(row and row[0])


def freeze(night: Night) -> None:
    with transaction.atomic():
        lock_person(user=night.world.alice)
        freeze_operations(user=night.world.alice)


DECISIONS: dict[str, Callable[[Night], Any]] = {
    "stop": lambda night: stop_executor(executor=night.world.redeemer, reason="again"),
    "switch": lambda night: switch_operation_type(name=night.world.kind.name, is_active=False),
    "retire": lambda night: retire_signing_key(kid=status_key(), reason="again"),
    "disown": lambda night: retire_signing_key(
        kid=night.quiet.row.kid, reason="found out", compromised=True
    ),
    "freeze": freeze,
}


@pytest.mark.parametrize("decision", DECISIONS)
def test_who_decides_while_it_is_restored_waits_for_it(
    night: Night, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins in the middle, and the restore goes on once that one waits."""
    inside = Event()

    def wait_and_repeat(entries: Any) -> None:
        inside.set()
        until = time.monotonic() + 1.5
        while not somebody_waits() and time.monotonic() < until:
            time.sleep(0.01)
        repeat_decisions(entries)

    def decide() -> None:
        assert inside.wait(timeout=30)
        DECISIONS[decision](night)

    monkeypatch.setattr(restore_ledger, "repeat_decisions", wait_and_repeat)

    at_once(partial(restore_ledger.restore_ledger, night.export, reason="the disk burned"), decide)

    assert [found for _, page in verify_ledger() for found in page] == []


def test_a_consent_that_is_stored_meanwhile_may_refer_to_a_locked_type(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds its person, and refers to the type as it commits; the restore locks types first."""
    inside = Event()

    def wait_and_lock(at: Any) -> Any:
        inside.set()
        until = time.monotonic() + 1.5
        while not somebody_waits() and time.monotonic() < until:
            time.sleep(0.01)
        return lock_restored.lock_open_consents(at)

    def ask() -> Any:
        assert inside.wait(timeout=30)
        return mandates.consent(night.world, confirmed=False)

    OperationType.objects.update(consent="exact")
    monkeypatch.setattr(restore_ledger, "lock_open_consents", wait_and_lock)

    _, asked = at_once(
        partial(restore_ledger.restore_ledger, night.export, reason="the disk burned"), ask
    )

    assert asked.operation_type_id == night.world.kind.pk


def test_operations_are_locked_by_their_ids_from_page_to_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensure_signing_keys()
    world = mandates.savings()
    issued = [mandates.issue(world).row for _ in range(6)]
    monkeypatch.setattr(lock_restored, "PAGE", 2)

    with transaction.atomic():
        locked = lock_restored.lock_tokens({row.token_hash for row in issued})

    assert [row.pk for row in locked.values()] == sorted(row.pk for row in issued)
