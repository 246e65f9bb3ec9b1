"""The worker's chores: done now and then, stopped at once, and never stopped by a fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.models import EmailKind, FederationRequest, OutgoingEmail
from accounts.services.create_api_key import create_api_key
from authproject.management import chores
from authproject.management.chores import Chores
from authproject.management.commands.run_worker import run_together
from batchtokens.management.worker import Worker
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def running(part: Chores) -> threading.Thread:
    thread = threading.Thread(target=part.run)
    thread.start()
    return thread


def over() -> None:
    FederationRequest.objects.create(
        state_digest="a", secrets_sealed=b"", expires_at=timezone.now() - timedelta(seconds=1)
    )


def eventually(happens: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + 60
    while not happens() and time.monotonic() < give_up:
        time.sleep(0.02)
    return happens()


def eventually_empty() -> bool:
    return eventually(lambda: not FederationRequest.objects.exists())


def test_deletes_what_is_over_again_and_again() -> None:
    part = Chores(first_after=0, every=0.02)
    thread = running(part)
    try:
        for _ in range(2):
            over()
            assert eventually_empty()
    finally:
        part.stop()
        thread.join(timeout=60)
    assert not thread.is_alive()


def test_warns_of_keys_that_end_soon() -> None:
    ends = timezone.now() + timedelta(days=5)
    create_api_key(owner=factories.alice(), name="laptop", scopes=["profile"], expires_at=ends)
    warnings = OutgoingEmail.objects.filter(kind=EmailKind.API_KEY_EXPIRING)
    part = Chores(first_after=0, every=0.02)
    thread = running(part)
    try:
        assert eventually(warnings.exists)
    finally:
        part.stop()
        thread.join(timeout=60)
    assert warnings.count() == 1


def test_a_fault_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> int:
        raise OperationalError("the database is away\nwith details")

    monkeypatch.setattr(chores, "warn_expiring_keys", fail)
    part = Chores(first_after=0, every=0.02)
    thread = running(part)
    try:
        assert eventually(lambda: "warn failed: the database is away" in caplog.text)
        over()
        assert eventually_empty()
    finally:
        part.stop()
        thread.join(timeout=60)
    assert "details" not in caplog.text


def test_stops_while_it_waits() -> None:
    part = Chores()
    thread = running(part)

    part.stop()

    thread.join(timeout=60)
    assert not thread.is_alive()


def test_a_worker_that_runs_once_leaves_them() -> None:
    over()

    run_together(Worker(threads=1, poll=0.1, once=True), Chores(first_after=0, once=True))

    assert FederationRequest.objects.exists()
