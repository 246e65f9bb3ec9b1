"""Keeps the processes of one installation together: they start, and end, as one.

Each has a process group of its own, so that Ctrl-C reaches this process alone and they end in
order; should it be killed, the watchdog ends them.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from accounts.management.base import Stop
from authproject.quickstart.watchdog import signal_group

START_WITHIN = 60.0  # seconds until a service must answer
STOP_WITHIN = 15.0  # seconds for what is in flight
ROUND = 0.2  # seconds between two looks at the children
WATCHDOG = (sys.executable, "-m", "authproject.quickstart.watchdog")


@dataclass(frozen=True)
class Service:
    """A process to run: its name for people, its command, what its environment adds or changes."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    log: Path


class Supervisor:
    """Runs services from `folder` while the block lasts; their output goes to files in `logs`."""

    def __init__(self, *, folder: Path, logs: Path) -> None:
        self._folder, self._logs = folder, logs
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._watchdog = subprocess.Popen(  # noqa: S603 - a command line of our own
            WATCHDOG, cwd=self._folder, stdin=subprocess.PIPE, start_new_session=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for child in reversed(self._children):
                signal_group(child.process.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(STOP_WITHIN)
        finally:  # also when Ctrl-C comes a second time
            for child in self._children:
                signal_group(child.process.pid, signal.SIGKILL)
                child.process.wait()
                self._tell_watchdog(-child.process.pid)
            self._watchdog.communicate()

    def start(self, service: Service) -> None:
        log = self._logs / f"{service.name.replace(' ', '-')}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - command lines of our own
                service.command,
                cwd=self._folder,
                env=service.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children.append(_Child(service, process, log))
        self._tell_watchdog(process.pid)

    def wait_for(self, url: str) -> None:
        """Wait until `url` answers 200. Raises Stop where it does not, or a child died."""
        give_up = time.monotonic() + START_WITHIN
        while time.monotonic() < give_up:
            self.check()
            with suppress(httpx.TransportError):
                if httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                    return
            time.sleep(ROUND)
        raise Stop(f"{url} did not answer within {START_WITHIN:.0f} s; see {self._logs}.")

    def watch(self) -> None:
        """Stay until a child dies, which raises Stop."""
        while True:
            self.check()
            time.sleep(ROUND)

    def check(self) -> None:
        """Raise Stop if a child has died."""
        for child in self._children:
            if (code := child.process.poll()) is not None:
                last = _last_line(child.log)
                raise Stop(
                    f"The {child.service.name} ended by itself ({_reason(code)}), so everything was"
                    f" stopped. Its last words, in {child.log}: {last}"
                )

    def _tell_watchdog(self, group: int) -> None:
        pipe = self._watchdog.stdin
        if pipe is not None and self._watchdog.poll() is None:
            pipe.write(f"{group:+d}\n".encode())
            pipe.flush()


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing.")
