"""/metrics of `manage.py serve`: whichever process answers, it says what all of them counted."""

from pathlib import Path

import httpx
import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests.scrapes import BEARER, TOKEN, samples, value
from tests.servers import Server, running_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ASKED = 40


def test_two_processes_count_together(tmp_path: Path) -> None:
    ensure_signing_keys()
    env = {"METRICS_TOKEN": TOKEN, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with running_server(env, workers=2) as server:
        for _ in range(ASKED):  # each on a connection of its own: either process takes it
            httpx.get(f"{server.url}/livez", timeout=60)
        scraped = [scrape(server) for _ in range(8)]
        found = [samples(answer.text) for answer in scraped]
        livez = {"view": "livez", "method": "GET", "status": "200"}
        assert {value(each, "http_requests_total", **livez) for each in found} == {ASKED}
        assert {value(each, "database_up") for each in found} == {1}
        assert len(list(tmp_path.glob("metrics-*/counter_*.db"))) >= 2  # both have counted
    assert list(tmp_path.iterdir()) == []


def test_without_a_token_there_is_nothing_to_read() -> None:
    ensure_signing_keys()
    with running_server() as server:
        assert scrape(server).status_code == 404


def scrape(server: Server) -> httpx.Response:
    """Ask for what is counted; a process that starts yet may take its time."""
    return httpx.get(f"{server.url}/metrics", headers=BEARER, timeout=60)
