"""/metrics: who may read it, in which format, and what it says when the database is away."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from pytest_django.fixtures import Settings

from accounts.management.base import Findings
from accounts.models import ApiKey, SigningKey, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from authproject.observability import gauges, instruments
from tests import mandates
from tests.budgets import CONTROL, budget
from tests.leaks import leaks
from tests.scrapes import BEARER, TOKEN, scrape, value

pytestmark = pytest.mark.django_db

STATEMENTS = 16
SMALL = ("executorcontrol", "operationtype", "signingkey")  # tables of a few rows for ever


@pytest.fixture(autouse=True)
def on(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.mark.parametrize("token", ["", "x", TOKEN[:31]])
def test_without_a_long_token_there_are_none(settings: Settings, token: str) -> None:
    settings.METRICS_TOKEN = token
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("headers", "code", "challenge"),
    [
        ({}, "not_authenticated", 'Bearer realm="authproject"'),
        ({"Authorization": f"Basic {TOKEN}"}, "not_authenticated", 'Bearer realm="authproject"'),
        (
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            "token_not_valid",
            'Bearer realm="authproject", error="invalid_token"',
        ),
        (
            {"Authorization": f"Bearer {TOKEN}é"},
            "token_not_valid",
            'Bearer realm="authproject", error="invalid_token"',
        ),
    ],
)
def test_nobody_else_reads_them(headers: dict[str, str], code: str, challenge: str) -> None:
    answer = Client().get("/metrics", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_access_token_opens_nothing() -> None:
    ensure_signing_keys()
    caller = mandates.savings()
    headers = {"Authorization": f"Bearer {mandates.subject_token(caller)}"}
    assert Client().get("/metrics", headers=headers).status_code == 401


def test_only_reading_is_served() -> None:
    assert Client().post("/metrics", headers=BEARER).status_code == 405


def test_the_answer_is_stored_nowhere_limited_by_nothing_and_hardened(settings: Settings) -> None:
    settings.RATE_LIMITS = True
    answer = Client().get("/metrics", headers=BEARER)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "RateLimit" not in answer.headers
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_process_is_scraped_by_its_address(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["auth.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/metrics", headers={**BEARER, "Host": "10.1.2.3:8000"})
    assert answer.status_code == 200


def test_openmetrics_is_written_for_who_asks() -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.3"
    answer = Client().get("/metrics", headers={**BEARER, "Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in read_openmetrics(answer.content.decode())}
    assert {"authproject_database_up", "authproject_http_requests"} <= names


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_said_and_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def away() -> float:
        raise error("no connection")

    monkeypatch.setattr(gauges, "seconds_unsealed", away)
    client = Client()
    found = scrape(client)
    assert value(found, "database_up") == 0
    assert ("queue_waiting_runs", frozenset()) not in found
    assert ("http_requests_total", "metrics") in {
        (name, dict(labels).get("view")) for name, labels in scrape(client)
    }


def test_a_scrape_costs_the_same_few_statements() -> None:
    ensure_signing_keys()
    world = mandates.savings()
    scrape()
    with budget(STATEMENTS):
        scrape()
    for key in ("1", "2", "3"):
        mandates.redeem(world, mandates.issue(world), key)
    with budget(STATEMENTS):
        scrape()


@pytest.mark.postgresql
def test_no_statement_needs_to_read_a_whole_table() -> None:
    """Where a table is read although the planner was told to avoid it, there is no index to use."""
    with CaptureQueriesContext(connection) as captured:
        scrape()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plans = [_plan(cursor, query["sql"]) for query in captured if _reads(query["sql"])]
    assert len(plans) >= 10
    assert [plan for plan in plans if "Seq Scan" in plan] == []


def _reads(sql: str) -> bool:
    return "FROM" in sql and not sql.startswith(CONTROL) and not any(t in sql for t in SMALL)


def _plan(cursor: Any, sql: str) -> str:
    cursor.execute(f"EXPLAIN {sql}")
    return "\n".join(line for (line,) in cursor.fetchall())


def test_no_secret_and_nobody_is_named() -> None:
    ensure_signing_keys()
    world = mandates.savings()
    issued = mandates.issue(world)
    mandates.redeem(world, issued)
    text = Client().get("/metrics", headers=BEARER).content
    secrets = {
        "metrics token": TOKEN.encode(),
        "operation token": issued.token.encode(),
        "operation": issued.row.public_id.encode(),
        "person": User.objects.get(pk=world.alice.pk).public_id.encode(),
        "client secret": world.executor.secret.encode(),
        "api key": ApiKey.objects.all()[0].public_id.encode(),
        "key id": SigningKey.objects.all()[0].kid.encode(),
    }
    assert leaks(secrets, {"/metrics": text}) == set()


@pytest.mark.parametrize(("token", "said"), [("", "off"), (TOKEN, "on")])
def test_doctor_says_whether_they_are_on(
    settings: Settings, capsys: pytest.CaptureFixture[str], token: str, said: str
) -> None:
    settings.METRICS_TOKEN = token
    with pytest.raises(Findings):
        call_command("doctor", format="json")
    assert f"/metrics is {said}." in capsys.readouterr().err


def test_an_answer_survives_that_nothing_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(**labels: str) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(instruments.http_requests, "labels", gone)
    assert Client().get("/livez").status_code == 200
