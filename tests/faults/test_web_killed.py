"""Web processes killed at random moments: a redemption is whole or absent, a retry makes one.

SQLite has one writing process, so only PostgreSQL can show it.
"""

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from batchtokens.models import LedgerEntry, Redemption, RedemptionAttempt
from tests import mandates
from tests.cluster import check_ledger, eventually
from tests.servers import Server, running_server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.faults,
    pytest.mark.slow,
]

ROUNDS, AT_ONCE, PROCESSES = 20, 8, 2
LONGEST_ROUND = 0.06  # seconds: about as long as so many redemptions take
GIVE_UP = 120.0


def test_a_redemption_is_whole_or_absent_whenever_its_process_dies() -> None:
    world = mandates.savings()
    tokens = [mandates.issue(world).token for _ in range(ROUNDS * AT_ONCE)]
    issuer = {"ISSUER_URL": settings.ISSUER_URL}
    with (
        running_server(issuer, workers=PROCESSES) as server,
        connect(server, world) as http,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        redeemer = Redeemer(http)
        for start in range(0, len(tokens), AT_ONCE):
            batch = tokens[start : start + AT_ONCE]
            eventually(lambda: len(processes_of(server.process.pid)) == PROCESSES)
            answers = [pool.submit(redeemer.redeem, token) for token in batch]
            kill_one_process(server)
            redeemer.receipts.update(answer.result() for answer in answers)

    assert redeemer.outcomes["lost"] > 0, "nobody was killed while it worked"
    assert redeemer.outcomes["created"] + redeemer.outcomes["repeated"] == len(tokens)
    stored = RedemptionAttempt.objects.values_list("receipt", flat=True)
    assert Counter(stored) == redeemer.receipts == Counter(set(stored))
    assert Redemption.objects.count() == len(tokens)
    assert LedgerEntry.objects.filter(kind="reserved").count() == len(tokens)
    check_ledger()


class Redeemer:
    """Redeems each token under one key until there is an answer, and counts what came back."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.outcomes = Counter[str]()
        self.receipts = Counter[str]()

    def redeem(self, token: str) -> str:
        give_up = time.monotonic() + GIVE_UP
        body = {"operation_token": token, "operation": mandates.OPERATION}
        headers = {"Idempotency-Key": token[-40:]}
        while time.monotonic() < give_up:
            try:
                answer = self._http.post("/api/v1/redemptions", json=body, headers=headers)
            except httpx.TransportError:
                self.outcomes["lost"] += 1
                time.sleep(0.02)
                continue
            self.outcomes["created" if answer.status_code == 201 else "repeated"] += 1
            assert answer.status_code in {200, 201}, answer.text
            return str(answer.json()["receipt"])
        raise AssertionError("nobody answered")


def connect(server: Server, world: mandates.Savings) -> httpx.Client:
    """Return a client of the executor's, with a new connection each time: to whoever lives."""
    credentials = (world.redeemer.client_id, world.executor.secret)
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=server.url, auth=credentials, limits=limits, timeout=30)


def kill_one_process(server: Server) -> None:
    """Kill the older of the server's own processes; it starts another in its place.

    It gives up when the same one dies twice in five seconds, so they take turns.
    """
    time.sleep(random.uniform(0, LONGEST_ROUND))
    os.kill(min(processes_of(server.process.pid), key=started_at), signal.SIGKILL)


def processes_of(parent: int) -> list[int]:
    """Return the children that live: what was killed is listed until its parent has noticed."""
    children = Path(f"/proc/{parent}/task").glob("*/children")
    listed = [int(pid) for each in children for pid in each.read_text().split()]
    return [pid for pid in listed if is_alive(pid)]


def is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return state_of(pid)[0] != "Z"
    return False


def started_at(pid: int) -> int:
    """Return the process's start, in clock ticks since boot."""
    return int(state_of(pid)[19])


def state_of(pid: int) -> list[str]:
    """Return what proc(5) has in stat, from the third field, the state, on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
