"""Four operators set another cap each, in four processes that meet at the row: all four hold."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts.models import SecurityEvent
from batchtokens.models import EntryKind, ExecutorControl, LedgerEntry
from batchtokens.services.ledger.find_decision import find_decision
from batchtokens.services.ledger.verify_ledger import verify_ledger
from tests import mandates
from tests.cluster import eventually
from tests.servers import environment

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

ASKED: dict[str, tuple[str, ...]] = {
    "ann": ("--max-count-minute=5",),
    "ben": ("--max-count-day=70",),
    "cem": ("--max-minor-minute=4000", "--currency=USD"),
    "dee": ("--max-minor-day=90000", "--currency=USD"),
}
CAPS = {
    "max_count_minute": 5,
    "max_count_day": 70,
    "max_minor_minute": 4000,
    "max_minor_day": 90_000,
    "currency": "USD",
}


# A process that is ready to run a command, and does so when it is told to.
READY = """
import sys, django
django.setup()
from django.core.management import call_command
from django.db import connection
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
call_command(*sys.argv[1:])
"""


def operator_process(name: str) -> subprocess.Popen[str]:
    why = ("--reason", f"asked by {name}", "--operator", name, "--yes", "--format", "json")
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            READY,
            "executor_control",
            "set-caps",
            "savings",
            *ASKED[name],
            *why,
        ],
        cwd=settings.BASE_DIR,
        env=environment({"DJANGO_SETTINGS_MODULE": "authproject.settings"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def waiting() -> int:
    """Return how many connections wait for a lock on this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        ((count,),) = cursor.fetchall()
    return int(count)


def race() -> list[dict[str, Any]]:
    """Let all of them come to the row before anybody may have it; return what each printed."""
    with ExitStack() as stack:
        racers = [stack.enter_context(operator_process(name)) for name in ASKED]
        for racer in racers:
            stack.callback(racer.kill)
        pipes = [(racer.stdin, racer.stdout) for racer in racers]
        assert [told.readline() for _, told in pipes if told] == ["ready\n"] * len(ASKED)
        with transaction.atomic():
            ExecutorControl.objects.select_for_update().get()
            for go, _ in pipes:
                assert go is not None
                go.close()
            eventually(lambda: waiting() == len(ASKED))
        return [json.loads(told.read()) for _, told in pipes if told]


def test_each_cap_is_kept_and_told() -> None:
    world = mandates.savings()
    ExecutorControl.objects.create(executor=world.redeemer)

    shown = race()

    assert [each["done"] for each in shown] == ["capped"] * len(ASKED)
    control = ExecutorControl.objects.get()
    assert {name: getattr(control, name) for name in CAPS} == CAPS
    entries = LedgerEntry.objects.filter(kind=EntryKind.EXECUTOR_CAPPED).order_by("seq")
    told: list[dict[str, Any]] = [json.loads(entry.entry)["data"]["caps"] for entry in entries]
    assert told[-1] == CAPS
    assert all(before.items() < after.items() for before, after in pairwise(told))
    deciders = {each.actor for entry in entries if (each := find_decision(entry))}
    assert deciders == {f"operator:{name}" for name in ASKED}
    assert SecurityEvent.objects.filter(code="executor_caps_set").count() == len(ASKED)
    assert [findings for _, findings in verify_ledger() if findings] == []
