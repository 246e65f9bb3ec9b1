"""Installations of their own for tests of the first run: a folder, a database, free ports."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from authproject.env import VARIABLES
from tests.ports import free_port

READY_WITHIN = 120.0  # seconds: two cores may run everything else as well
GONE_WITHIN = 60.0


@dataclass(frozen=True)
class Run:
    """A quickstart that was started, and the file with what it printed."""

    process: subprocess.Popen[bytes]
    printed: Path

    def text(self) -> str:
        return self.printed.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> str:
        """Wait until it has printed the words; return everything so far."""
        give_up = time.monotonic() + READY_WITHIN
        while words not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < give_up, self.text()
            time.sleep(0.1)
        return self.text()

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(GONE_WITHIN)


@dataclass(frozen=True)
class Installation:
    """A development installation; `database` is a URL, or "" for SQLite in the folder."""

    folder: Path
    database: str = ""
    port: int = field(default_factory=free_port)
    example_port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        """Return what its processes see: nothing of the developer's own settings."""
        declared = {variable.name for variable in VARIABLES}
        others = {name: value for name, value in os.environ.items() if name not in declared}
        return others | {
            "ENVIRONMENT": "development",
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.database,
            "PORT": str(self.port),
            "EXAMPLE_PORT": str(self.example_port),
        }

    def manage(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=self.environment | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def quickstart(self, *arguments: str) -> Iterator[Run]:
        """Run quickstart while the block lasts; nothing of it is left after that."""
        printed = self.folder / "printed"
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "quickstart", *arguments],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Run(process, printed)
        finally:
            process.terminate()
            process.wait(GONE_WITHIN)
            for pid in self.processes():
                with suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(pid, signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        """Return the command lines of all processes whose environment names the folder."""
        mark = f"DATA_DIR={self.folder}\0".encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = command.decode()
            except OSError:
                continue  # it ended meanwhile
        return found

    def is_gone(self) -> bool:
        """Tell whether all processes end in time."""
        give_up = time.monotonic() + GONE_WITHIN
        while self.processes() and time.monotonic() < give_up:
            time.sleep(0.1)
        return not self.processes()
