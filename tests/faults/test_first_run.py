"""`quickstart` from nothing: what it shows, what it stops, and what it leaves when it is killed."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from tests.installations import Installation, Run
from tests.readme import shell_blocks
from tests.servers import database_url

pytestmark = [pytest.mark.slow, pytest.mark.faults]

READY = "Running. Ctrl-C stops everything"
STEPS = (
    "✓ Database",
    "✓ Signing key   ES256 kid=",
    "✓ Administrator admin@localhost",
    "✓ Demo data     25 people, 8 operations",
    "→ Sign in       johndoe gets an access token for 15 minutes",
    "→ Gateway       introspects it (active)",
    "for one operation: sha-256:",
    "→ Queue         holds 3 runs",
    "→ Run o0        50.00 USD moved",
    "→ Run o1        50.00 USD moved",
    "→ Run o2        50.00 USD moved",
    "settled, ledger entry",
    "the amount edited to 5000.00 USD  refused: 403 operation_mismatch",
    "the token of another job          refused: 403 operation_mismatch",
    "a job, long before its time       refused: 403 outside_validity",
    "a used run, redeemed again        refused: 409 slot_already_redeemed",
    "150.00 USD, the money moved exactly three times",
)

PASTED = (
    '"kind":"settled"',
    '"creditor_account": "sav-7781"',
    "operation_mismatch",
    '{"active": false}',
    '"code": "invalid_otp"',
    '"amr":["pwd","rc","mfa"],"current":true',
    '"code":"recovery_code_used"',
    "Standing order: deposit 50.00 USD from “chk-1042” into “sav-7781”",
    '"code": "invalid_authorization_details"',
    '"type": "savings.standing_order"',
    '"verdict": "accepted"',
)


@pytest.fixture
def installation(tmp_path: Path, django_db_setup: None) -> Iterator[Installation]:
    """Yield an empty installation on the kind of database that the suite runs on."""
    if connection.vendor == "sqlite":
        yield Installation(tmp_path)
        return
    name = f"first_run_{secrets.token_hex(6)}"
    with psycopg.connect(database_url(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield Installation(
                tmp_path, urlsplit(database_url())._replace(path=f"/{name}").geturl()
            )
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_the_first_run_shows_the_main_job_and_a_second_goes_on(installation: Installation) -> None:
    with installation.quickstart() as run:
        check_steps(run)
        assert "(shown once)" in run.text()
        check_readme(installation)
        assert run.end(signal.SIGINT) == 130
    assert installation.is_gone()

    with installation.quickstart() as run:
        check_steps(run)
        assert "(shown once)" not in run.text()
        assert run.end(signal.SIGTERM) == 0
    assert installation.is_gone()


def check_steps(run: Run) -> None:
    printed = run.wait_for(READY)
    assert [step for step in STEPS if step not in printed] == []


def check_readme(installation: Installation) -> None:
    """Paste the README's lines into one shell."""
    script = "set -euo pipefail\n" + "\n".join(shell_blocks())
    for written, meant in {
        ":8000": f":{installation.port}",
        ":8100": f":{installation.example_port}",
        ".venv/bin/python": sys.executable,
    }.items():
        script = script.replace(written, meant)
    pasted = subprocess.run(
        ["bash", "-c", script],
        cwd=settings.BASE_DIR,
        env=installation.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert pasted.returncode == 0, pasted.stdout + pasted.stderr
    assert [words for words in PASTED if words not in pasted.stdout] == []


def test_nothing_is_left_when_it_is_killed(installation: Installation) -> None:
    with installation.quickstart("--no-demo") as run:
        run.wait_for(READY)
        assert len(installation.processes()) >= 4
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
        assert installation.is_gone()


def test_a_child_that_dies_ends_everything(installation: Installation) -> None:
    with installation.quickstart("--no-demo") as run:
        run.wait_for(READY)
        worker = next(pid for pid, line in installation.processes().items() if "run_worker" in line)
        os.kill(worker, signal.SIGKILL)
        assert run.process.wait(60) == 1
        assert "The worker ended by itself (SIGKILL)" in run.text()
    assert installation.is_gone()
