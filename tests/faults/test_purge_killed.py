"""`purge_expired` as a process: killed in the middle, two at once; what is open always stays."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from django.conf import settings

from accounts.models import RateCounter
from tests.servers import environment, manage, running

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.faults,
    pytest.mark.slow,
]

ROWS = 20_000
PURGE = manage("purge_expired", "--batch", "20", "--format", "json")


@pytest.fixture(autouse=True)
def _rows() -> None:
    over = (RateCounter(key=f"over {n}", value=1, expires_at=1) for n in range(ROWS))
    RateCounter.objects.bulk_create(over, batch_size=5000)
    RateCounter.objects.create(key="open", value=1, expires_at=int(time.time()) + 3600)


def left() -> int:
    return RateCounter.objects.count()


def begun(process: subprocess.Popen[bytes]) -> None:
    """Wait until a purge has committed something."""
    while left() > ROWS:
        assert process.poll() is None
        time.sleep(0.01)


def finish() -> int:
    done = subprocess.run(
        PURGE, cwd=settings.BASE_DIR, env=environment(), capture_output=True, check=False
    )
    return done.returncode


def test_what_was_killed_goes_on_the_next_time(tmp_path: Path) -> None:
    with running(PURGE, log=tmp_path / "log") as process:
        begun(process)
        process.kill()
        process.wait(timeout=60)
    assert 1 < left() <= ROWS

    assert finish() == 0
    assert list(RateCounter.objects.values_list("key", flat=True)) == ["open"]


def test_two_at_once_do_no_harm(tmp_path: Path) -> None:
    with running(PURGE, log=tmp_path / "log") as process:
        begun(process)
        assert finish() == 0
        assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()

    assert list(RateCounter.objects.values_list("key", flat=True)) == ["open"]
