"""Real server processes for tests: each in its own process group, ended by its own id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from tests.ports import free_port

__all__ = ["Server", "database_url", "free_port", "manage", "running", "running_server"]

STARTED_WITHIN = 120.0  # seconds: two cores may run everything else as well
STOPPED_WITHIN = 60.0


@dataclass(frozen=True)
class Server:
    """A web server that was started here."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


def database_url() -> str:
    """Return the address of the database that this test works on, for another process."""
    current = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{current['NAME']}"
    login = ":".join(
        quote(part, safe="") for part in (current["USER"], current["PASSWORD"]) if part
    )
    place = ":".join(str(part) for part in (current["HOST"], current["PORT"]) if part)
    socket = current["OPTIONS"].get("host")  # a Unix socket's folder
    query = f"?host={socket}" if socket else ""
    return f"postgresql://{login}@{place}/{current['NAME']}{query}"


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: this test's database, folder and secrets, then `env`."""
    return os.environ | {"DATABASE_URL": database_url()} | dict(env or {})


@contextmanager
def running(
    command: list[str], *, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in its own process group while the block lasts; its output goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def manage(*arguments: str) -> list[str]:
    """Return the command line of a management command."""
    return [sys.executable, "manage.py", *arguments]


@contextmanager
def running_server(
    env: Mapping[str, str] | None = None, *, workers: int = 1, port: int | None = None
) -> Iterator[Server]:
    """Run `manage.py serve` on this test's database, which must be committed and have keys."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    log = settings.DATA_DIR / f"server-{port}.log"
    command = manage("serve", "--port", str(port), "--workers", str(workers))
    with running(command, log=log, env={"PORT": str(port), **(env or {})}) as process:
        wait_until_ready(f"{url}/readyz", process, log)
        yield Server(url, process, log)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `url` answers 200; fail with the end of the log when the process gives up."""
    give_up = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < give_up and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} was not ready in time:\n{log.read_text()[-4000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started: first kindly, then for certain."""
    for deadly, patience in ((signal.SIGTERM, STOPPED_WITHIN), (signal.SIGKILL, STOPPED_WITHIN)):
        try:
            os.killpg(process.pid, deadly)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=STOPPED_WITHIN)
