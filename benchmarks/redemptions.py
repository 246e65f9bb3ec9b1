"""Redemptions over HTTP on PostgreSQL: one a call, against thousands a call, in the same run.

Both ways are asked by as many callers at once: by one, and by as many as a server has threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count

import httpx
from django.conf import settings

from benchmarks.world import cpu_seconds, fresh_database, issue_many
from tests import mandates
from tests.servers import Server, running_server

SINGLES, BATCHES, LINES = 600, 4, 2000
CALLERS = (1, 4)
keys = count()


@dataclass(frozen=True)
class Measured:
    """One way of redeeming: how many, in how many seconds of the clock and of the processor."""

    name: str
    redemptions: int
    seconds: float
    processor: float

    @property
    def rate(self) -> float:
        return self.redemptions / self.seconds

    def row(self) -> list[str]:
        """Return the table's cells."""
        each = self.processor / self.redemptions * 1e6
        return [self.name, f"{self.redemptions}", f"{self.rate:.0f}", f"{each:.0f}"]


def measure(callers: int) -> tuple[Measured, Measured]:
    """Measure both on one server process with its usual threads."""
    with fresh_database():
        world = mandates.savings(max_live_mandates=10**6)
        singles = issue_many(world, SINGLES + callers)
        lines = issue_many(world, LINES * BATCHES + callers)
        with (
            running_server({"ISSUER_URL": settings.ISSUER_URL}, workers=1) as server,
            httpx.Client(
                base_url=server.url,
                auth=(world.executor.client.client_id, world.executor.secret),
                timeout=120,
                limits=httpx.Limits(max_keepalive_connections=callers),
            ) as http,
        ):
            warm = (singles[SINGLES:], lines[LINES * BATCHES :])
            _redeem_singly(http, warm[0], callers)
            _redeem_in_batches(http, [warm[1]], callers)
            batches = [lines[start : start + LINES] for start in range(0, LINES * BATCHES, LINES)]
            redeem_singly = partial(_redeem_singly, http, singles[:SINGLES], callers)
            redeem_in_batches = partial(_redeem_in_batches, http, batches, callers)
            return (
                _timed("single", server, SINGLES, redeem_singly),
                _timed("batch", server, LINES * BATCHES, redeem_in_batches),
            )


def _timed(name: str, server: Server, redemptions: int, work: Callable[[], None]) -> Measured:
    started, used = time.perf_counter(), cpu_seconds(server.process.pid)
    work()
    seconds = time.perf_counter() - started
    return Measured(name, redemptions, seconds, cpu_seconds(server.process.pid) - used)


def _redeem_singly(http: httpx.Client, tokens: list[str], callers: int) -> None:
    def redeem(token: str) -> None:
        body = {"operation_token": token, "operation": mandates.OPERATION}
        headers = {"Idempotency-Key": f"key-{next(keys)}"}
        answer = http.post("/api/v1/redemptions", json=body, headers=headers)
        assert answer.status_code == httpx.codes.CREATED, answer.text  # noqa: S101 - a wrong figure

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(redeem, tokens))


def _redeem_in_batches(http: httpx.Client, batches: list[list[str]], callers: int) -> None:
    def redeem(batch: list[str]) -> None:
        body = "\n".join(
            json.dumps(
                {
                    "idempotency_key": f"key-{next(keys)}",
                    "operation_token": token,
                    "operation": mandates.OPERATION,
                }
            )
            for token in batch
        )
        headers = {"Content-Type": "application/x-ndjson"}
        answer = http.post("/api/v1/redemptions/batch", content=body, headers=headers)
        statuses = [json.loads(line)["http_status"] for line in answer.text.splitlines()]
        assert statuses == [httpx.codes.CREATED] * len(batch), answer.text[:1000]  # noqa: S101 - the same

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(redeem, batches))
