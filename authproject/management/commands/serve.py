"""Run the web server alone: granian, WSGI, worker processes of four threads each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management import CommandParser
from django.db import connection
from granian import Granian
from granian.constants import HTTPModes, Interfaces

from accounts.management.base import ProductCommand, UsageError
from authproject.management.ports import require_free_port
from authproject.observability.scraper import SHARED_FOLDER, metrics_are_on

THREADS = 4  # a worker: enough to wait for the database while one computes


class Command(ProductCommand):
    """Serve HTTP until interrupted."""

    help = "Run the web server (see run_worker for the queue)."

    def add_options(self, parser: CommandParser) -> None:
        """Declare address, port and processes."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port to listen on")
        parser.add_argument(
            "--workers", type=int, help="processes; default: 1 on SQLite, else cores"
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Name the folder that all processes count in before anything is imported that counts."""
        with shared_counts():
            return super().execute(*args, **options)

    def handle(self, *args: Any, host: str, port: int, workers: int | None, **options: Any) -> None:
        """Check that the port is free, then serve."""
        if not 0 < port < 65536:
            raise UsageError("--port must be between 1 and 65535.")
        if workers is not None and workers < 1:
            raise UsageError("--workers must be at least 1.")
        require_free_port(host, port, mend="stop what listens there, or choose another with --port")
        os.environ["PORT"] = str(port)  # the default of ISSUER_URL in the worker processes
        server(host, port, workers or default_workers()).serve()


@contextmanager
def shared_counts() -> Iterator[None]:
    """Let the worker processes count into a folder of this server's own, where metrics are on."""
    if not metrics_are_on():
        yield
        return
    parent = Path(os.environ.get(SHARED_FOLDER) or settings.DATA_DIR)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="metrics-", dir=parent) as folder:
        os.environ[SHARED_FOLDER] = folder
        yield


def server(host: str, port: int, workers: int) -> Any:
    """Return the configured server; a worker that dies is started again."""
    return Granian(
        "authproject.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=workers,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=10,
        log_dictconfig=settings.LOGGING,
    )


def default_workers() -> int:
    """Return one for SQLite, which has one writer and slows down with more; else the cores."""
    return 1 if connection.vendor == "sqlite" else os.cpu_count() or 1
