"""Run the whole suite: `python -m tests [--database sqlite|postgresql] [pytest arguments]`.

The tests without a database run once, the others on SQLite and again on a real PostgreSQL that is
found or started here. A part that cannot start has failed; none is skipped.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.postgres import postgres

WITHOUT_DATABASE = ("tests/unit", "tests/repository")
NOTHING_COLLECTED = 5  # pytest's exit code
WORKERS = ("-n", "2", "--dist", "loadfile")


@dataclass(frozen=True)
class Database:
    """What a part of the suite runs on, and how a pytest process is told."""

    name: str
    url: str = ""


@dataclass(frozen=True)
class Result:
    """How a part of the suite ended."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    broken: str = ""

    @property
    def succeeded(self) -> bool:
        """Tell whether everything in it ran and passed."""
        return not self.failed and not self.broken


@contextmanager
def no_database() -> Iterator[Database]:
    """Yield what the tests without a database run on."""
    yield Database("no database")


@contextmanager
def sqlite() -> Iterator[Database]:
    """Yield SQLite: Django makes the file."""
    yield Database(f"SQLite {sqlite3.sqlite_version}")


@contextmanager
def postgresql() -> Iterator[Database]:
    """Yield a PostgreSQL that answers, with its version."""
    with postgres() as url:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        yield Database(f"PostgreSQL {str(row[0]).split()[0] if row else ''}", url)


Start = Callable[[], AbstractContextManager[Database]]
DATABASES: dict[str, Start] = {"sqlite": sqlite, "postgresql": postgresql}


def main() -> int:
    """Run the parts that were asked for and sum up."""
    options, arguments = _parser().parse_known_args()
    chosen = [options.database] if options.database else list(DATABASES)
    plain, other = _sorted_paths(arguments)
    flags = [argument for argument in arguments if argument not in {*plain, *other}]
    anywhere = not plain and not other
    results = []
    if plain or (anywhere and not options.database):
        results.append(_part(no_database, [*flags, *(plain or WITHOUT_DATABASE)]))
    for name in chosen if other or anywhere else []:
        paths = other or ["tests", *(f"--ignore={path}" for path in WITHOUT_DATABASE)]
        results.append(_part(DATABASES[name], [*WORKERS, *flags, *paths]))
    _sum_up(results)
    ran = sum(result.passed for result in results)
    return 0 if ran and all(result.succeeded for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests", allow_abbrev=False)
    parser.add_argument("--database", choices=list(DATABASES), help="default: both")
    return parser


def _sorted_paths(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the paths among the arguments: those without a database, and the others."""
    paths = [word for word in arguments if Path(word.partition("::")[0]).exists()]
    plain = [path for path in paths if path.startswith(WITHOUT_DATABASE)]
    return plain, [path for path in paths if path not in plain]


def _part(start: Start, arguments: list[str]) -> Result:
    """Run pytest on one database; whatever keeps it from starting is the part's failure."""
    try:
        with start() as database:
            print(f"\n=== {database.name}", flush=True)
            return _run_pytest(database, arguments)
    except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
        return Result(start.__name__, broken=f"could not start: {error}".splitlines()[0])


def _run_pytest(database: Database, arguments: list[str]) -> Result:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="authproject-report-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junit-xml={report}", *arguments]
        env = os.environ | {"TEST_DATABASE_URL": database.url}
        code = subprocess.run(command, env=env, check=False).returncode
        seconds = time.monotonic() - started
        if not report.exists():
            return Result(database.name, seconds=seconds, broken=f"pytest ended with {code}")
        return _read_report(database.name, report, seconds, code)


def _read_report(name: str, report: Path, seconds: float, code: int) -> Result:
    suite = ET.parse(report).getroot().find("testsuite")
    if suite is None:
        return Result(name, seconds=seconds, broken=f"pytest ended with {code}")
    tests, skipped, *bad = (
        int(suite.get(k, 0)) for k in ("tests", "skipped", "errors", "failures")
    )
    failed = sum(bad)
    odd = code not in {0, NOTHING_COLLECTED} and not failed
    broken = f"pytest ended with {code}" if odd else ""
    return Result(name, tests - failed - skipped, failed, skipped, seconds, broken)


def _sum_up(results: list[Result]) -> None:
    print("\nSuite")
    for result in results:
        counts = f"{result.passed:5} passed {result.failed:3} failed {result.skipped:3} skipped"
        print(f"  {result.name:24}{counts} {result.seconds:6.1f} s  {result.broken}".rstrip())
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    broken = sum(bool(result.broken) for result in results)
    print(f"{passed} passed, {failed + broken} failed")


if __name__ == "__main__":
    sys.exit(main())
