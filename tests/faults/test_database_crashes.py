"""PostgreSQL crashes under load: nothing acknowledged is lost, retries get the same bytes (I5)."""

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import Checkpoint, LedgerEntry
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from tests import ledgers, mandates
from tests.cluster import eventually
from tests.factories import basic
from tests.postgres import crash, debian_binaries, own_server
from tests.servers import manage, running, running_server
from tests.tokens import claims_of

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.postgresql]

CRASHES = 5
CLIENTS = 6
TOKENS = 40
SLOTS = 3
BACK_WITHIN = 10.0  # seconds


def binaries() -> Path:
    found = debian_binaries()
    assert found, "PostgreSQL's server programs are not installed"
    return found


@pytest.fixture
def data_folder(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """Work on a PostgreSQL of this test's own; yields its data folder."""
    with (
        tempfile.TemporaryDirectory(prefix="authproject-crashes-") as folder,
        own_server(binaries(), Path(folder)) as url,
        django_db_blocker.unblock(),
        connected_to(url),
    ):
        call_command("migrate", verbosity=0)
        yield Path(folder) / "data"


@contextmanager
def connected_to(url: str) -> Iterator[None]:
    former, parts = dict(connection.settings_dict), urlsplit(url)
    connection.close()
    connection.settings_dict.update(
        HOST=parts.hostname, PORT=parts.port, USER=parts.username, PASSWORD="", NAME="postgres"
    )
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(former)


@dataclass
class Load:
    """Clients that redeem, each request again and again until it is answered.

    When all is redeemed they ask anew for what was, until it is over: every crash finds them busy.
    """

    url: str
    world: mandates.Savings
    work: list[tuple[Issued, str]]
    receipts: dict[str, tuple[Issued, str]] = field(default_factory=dict)
    answered_at: list[float] = field(default_factory=list)
    failure: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, http: httpx.Client, issued: Issued, key: str) -> httpx.Response:
        headers = {**basic(self.world.redeemer, self.world.executor.secret), "Idempotency-Key": key}
        body = {"operation_token": issued.token, "operation": mandates.OPERATION}
        return http.post(f"{self.url}/api/v1/redemptions", json=body, headers=headers)

    def run(self) -> None:
        with httpx.Client(timeout=10) as http:
            while coming := self._next():
                self._redeem(http, *coming)

    def _next(self) -> tuple[Issued, str] | None:
        with self._lock:
            if self.work:
                return self.work.pop()
        if self.over.is_set() or self.failure:
            return None
        key, (issued, _) = random.choice(list(self.receipts.items()))
        return issued, key

    def _redeem(self, http: httpx.Client, issued: Issued, key: str) -> None:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                answer = self.post(http, issued, key)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.is_success:
                given = (issued, answer.json()["receipt"])
                if self.receipts.setdefault(key, given) != given:
                    self.failure = f"{key} got another receipt"
                self.answered_at.append(time.monotonic())
                return
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                self.failure = answer.text
                return
            time.sleep(0.1)
        raise AssertionError(f"{key} was not answered in time")


def test_five_crashes_lose_nothing(data_folder: Path, tmp_path: Path) -> None:
    ensure_signing_keys()
    world = mandates.savings()
    issued = [ledgers.issue_daily(world) for _ in range(TOKENS)]
    work = [
        (each, f"{number}-{slot}") for number, each in enumerate(issued) for slot in range(SLOTS)
    ]
    connection.close()
    sealer = running(manage("seal_ledger", "--every", "0.1"), log=tmp_path / "sealer.log")
    issuer = {"ISSUER_URL": settings.ISSUER_URL}
    with running_server(issuer, workers=2) as server, sealer:
        load = Load(server.url, world, list(work))
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(load.run) for _ in range(CLIENTS)]
            try:
                waits = [_crash_under(load, data_folder) for _ in range(CRASHES)]
            finally:
                load.over.set()
            for client in clients:
                client.result()
        _check_receipts(load, work)
        eventually(_all_sealed, within=30)
    print(f"{len(work)} redemptions, {CRASHES} crashes, back after {max(waits):.1f} s at most")
    assert max(waits) < BACK_WITHIN
    findings = [f for _, page in [*verify_ledger(), *verify_tree(whole_sink=True)] for f in page]
    assert findings == []


def _crash_under(load: Load, data: Path) -> float:
    """Crash while requests are in flight; returns how long the first answer took to come."""
    enough = len(load.answered_at) + 10
    eventually(lambda: load.failure or len(load.answered_at) >= enough, within=60)
    assert not load.failure, load.failure
    crash(binaries(), data)
    there = time.monotonic()
    eventually(lambda: load.answered_at[-1] > there, within=30)
    return min(at for at in load.answered_at if at > there) - there


def _check_receipts(load: Load, work: list[tuple[Issued, str]]) -> None:
    assert len(load.receipts) == len(work)
    stored = set(LedgerEntry.objects.values_list("hash", flat=True))
    with httpx.Client(timeout=10) as http:
        for key, (issued, receipt) in load.receipts.items():
            assert claims_of(receipt)["entry_hash"] in stored
            again: Any = load.post(http, issued, key)
            assert (again.status_code, again.json()["receipt"]) == (200, receipt)


def _all_sealed() -> bool:
    newest = Checkpoint.objects.order_by("size").last()
    return newest is not None and newest.size == LedgerEntry.objects.count()
