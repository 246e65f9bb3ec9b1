"""The main flow in real processes, each of which can be killed, frozen and started again.

```
worker ──► front ──► executor ──► link ──► authority        front and link lose or hold messages
```
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import QueuedRun, Redemption, RunState
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.constraints import format_instant
from tests import mandates
from tests.ports import free_port
from tests.proxies import Proxy, proxy_to
from tests.servers import manage, running, wait_until_ready

EXAMPLE = [sys.executable, "-m", "examples.savings"]
# Seconds instead of minutes, so that a test can wait for what ends.
QUICK = {
    "DELIVERY_BACKOFF": "1",
    "DELIVERY_TIMEOUT": "5",
    "DELIVERY_LEASE": "6",
    "REDEMPTION_LEASE": "5",
}


def eventually(holds: Callable[[], object], *, within: float = 120.0) -> None:
    """Wait until `holds` returns something true."""
    give_up = time.monotonic() + within
    while not holds():
        assert time.monotonic() < give_up, "it did not come true in time"
        time.sleep(0.05)


def due_now(count: int = 1) -> dict[str, Any]:
    """Return the constraints of a mandate whose `count` runs are all due."""
    start = (datetime.now(UTC) - timedelta(seconds=count)).replace(microsecond=0)
    return {
        "valid_from": format_instant(start),
        "valid_to": mandates.in_days(1),
        "schedule": f"FREQ=SECONDLY;COUNT={count}",
        "due_window": "PT5M",
        "periodic_limits": None,
    }


@dataclass
class Part:
    """A process; `ready` is an address that answers 200 once it can be used, "" if it has none."""

    command: list[str]
    env: Mapping[str, str]
    log: Path
    ready: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        child = running(self.command, log=self.log, env=self.env)
        self._process = self._stack.enter_context(child)

    def wait_until_ready(self) -> None:
        if self.ready and self._process is not None:
            wait_until_ready(self.ready, self._process, self.log)

    def kill(self) -> None:
        """End it and its children as a power cut would."""
        self._signal(signal.SIGKILL)
        self.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout=120)

    def close(self) -> None:
        if self.is_running:
            self.thaw()  # a frozen process would not hear that it shall end
        self._stack.close()

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self.pid, number)


@dataclass
class Cluster:
    """Authority, executor and worker of one world, on this test's database."""

    world: mandates.Savings
    folder: Path
    link: Proxy
    front: Proxy
    authority: Part
    executor: Part
    worker: Part
    _others: ExitStack = field(default_factory=ExitStack)

    def restore(self) -> None:
        """Make everything as it was at first: what a test added is gone, nothing is queued."""
        self._others.close()
        self.front.restore()
        self.link.restore()
        QueuedRun.objects.unfinished().delete()
        self.start()

    def start(self) -> None:
        """Start or thaw what does not run, and wait until it can be used."""
        parts = (self.authority, self.executor, self.worker)
        stopped = [part for part in parts if not part.is_running]
        for part in parts:
            part.start() if part in stopped else part.thaw()
        for part in stopped:
            part.wait_until_ready()

    def another_worker(self, *options: str) -> Part:
        return self._started(worker(self.folder, *options))

    def fail_over(self) -> None:
        """Let another process of the same service, on the same bank, take all deliveries."""
        port = self.front.target = free_port()
        self._started(executor(self.world, self.folder, port=port, authority=self.link.url))

    def _started(self, part: Part) -> Part:
        self._others.callback(part.close)
        part.start()
        return part

    def close(self) -> None:
        self._others.close()
        for part in (self.worker, self.executor, self.authority):
            part.close()

    def issue(self, count: int = 1, **changes: Any) -> Issued:
        """Issue a mandate whose `count` runs are due, unless `changes` say otherwise."""
        return mandates.issue(self.world, **{**due_now(count), **changes})

    def queue(self, count: int = 1, **changes: Any) -> list[QueuedRun]:
        """Issue and queue a mandate; return its runs, the earliest first."""
        issued = self.issue(count, **changes)
        enqueue_operation_token(
            by=self.world.trigger.client,
            token=issued.token,
            operation=changes.get("operation", mandates.OPERATION),
        )
        return list(issued.row.queued_runs.order_by("due_at"))

    def transfers(self) -> list[dict[str, Any]]:
        """Ask the example for all the money that it moved."""
        base = self.executor.ready.removesuffix("/healthz")
        answer = httpx.get(f"{base}/executor/transfers", timeout=60).raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def transfers_of(self, webhook_id: str) -> list[dict[str, Any]]:
        """Ask the example for the money that it moved for one run."""
        return [
            each
            for each in self.transfers()
            if f"{each['operation_id']}.{each['slot']}" == webhook_id
        ]

    def check_done_once(self, *runs: QueuedRun) -> None:
        """Wait until the runs are finished; then each moved its money once and is settled."""
        eventually(lambda: not QueuedRun.objects.unfinished().filter(pk__in=pks(runs)).exists())
        for run in runs:
            run.refresh_from_db()
            assert (run.state, run.code) == (RunState.DONE, "")
            (transfer,) = self.transfers_of(run.webhook_id)
            redemption = Redemption.objects.get(pk=transfer["redemption_id"])
            assert (redemption.status, bool(transfer["settled_at"])) == ("settled", True)
        check_ledger()


def pks(runs: tuple[QueuedRun, ...]) -> list[Any]:
    return [run.pk for run in runs]


def check_ledger() -> None:
    assert [finding for _, findings in verify_ledger() for finding in findings] == []


def authority(folder: Path, *, port: int, workers: int = 1) -> Part:
    command = manage("serve", "--port", str(port), "--workers", str(workers))
    env = QUICK | {"ISSUER_URL": settings.ISSUER_URL, "PORT": str(port)}
    return Part(command, env, folder / "authority.log", f"http://127.0.0.1:{port}/readyz")


def worker(folder: Path, *options: str) -> Part:
    command = manage("run_worker", "--poll", "0.1", *options)
    return Part(command, QUICK, folder / f"worker-{free_port()}.log")  # a number of its own


def executor(world: mandates.Savings, folder: Path, *, port: int, authority: str) -> Part:
    """Return the savings example, which reaches the authority at that address."""
    env = {
        "AUTHORITY_URL": authority,
        "ISSUER_URL": settings.ISSUER_URL,
        "PUBLIC_URL": mandates.EXECUTOR_AUDIENCE,
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "DELIVERY_SECRET": world.redeemer.delivery_secret(),
        "EXECUTOR_CLIENT_ID": world.redeemer.client_id,
        "EXECUTOR_CLIENT_SECRET": world.executor.secret,
        "LOG_LEVEL": "INFO",
        # Gateway and trigger are not asked here.
        **dict.fromkeys(["GATEWAY_CLIENT_ID", "GATEWAY_CLIENT_SECRET"], "unused"),
        **dict.fromkeys(["TRIGGER_CLIENT_ID", "TRIGGER_CLIENT_SECRET"], "unused"),
    }
    log = folder / f"executor-{port}.log"
    return Part(EXAMPLE, env, log, f"http://127.0.0.1:{port}/healthz")


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Prepare a world on an empty, committed database; `restore` starts its processes."""
    ensure_signing_keys()
    world = mandates.savings()
    web, bank = free_port(), free_port()
    with proxy_to(web) as link, proxy_to(bank) as front:
        world.redeemer.delivery_url = f"{front.url}/executor/deliveries"
        world.redeemer.save()
        cluster = Cluster(
            world,
            folder,
            link=link,
            front=front,
            authority=authority(folder, port=web),
            executor=executor(world, folder, port=bank, authority=link.url),
            worker=worker(folder),
        )
        try:
            yield cluster
        finally:
            cluster.close()
