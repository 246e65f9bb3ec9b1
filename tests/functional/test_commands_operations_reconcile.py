"""`operations missed` and `operations reconcile`: what was due and what became of the money."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.management.base import Exit
from authproject.management.chores import Chores
from authproject.observability import health
from batchtokens.management.operations import reconcile
from batchtokens.models import HoldKind, LedgerEntry, OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.reports import find_missed, report_missed
from batchtokens_verifier.constraints import format_instant
from tests import mandates
from tests.commands import operations

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def daily() -> dict[str, Any]:
    """Return four runs, each at noon: no window reaches into another day."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + DAY
    return {
        "schedule": "FREQ=DAILY;COUNT=4",
        "due_window": "PT1M",
        "valid_from": format_instant(noon),
        "valid_to": format_instant(noon + 4 * DAY),
    }


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Let the database's clock show an instant seven days ahead to what only looks."""
    instant = datetime.now(UTC) + 7 * DAY
    for module in (reconcile, find_missed, report_missed):
        monkeypatch.setattr(module, "database_now", lambda: instant)
    return instant


def run(world: mandates.Savings, issued: Issued, number: int, ends: str) -> None:
    """Let a mandate's run end in one of the ways that there are."""
    at = issued.row.valid_from + number * DAY + timedelta(seconds=1)
    key = f"{issued.row.pk}.{number}"
    answer = mandates.redeem(world, issued, key, occurrence=f"o{number}", now=at)
    closing = Closing(answer.redemption.pk, 1, "x")
    if ends == "settled":
        settle_redemption(by=world.redeemer, closing=closing, now=at)
    elif ends == "released":
        release_redemption(by=world.redeemer, closing=closing, now=at)


@pytest.fixture
def mandate(world: mandates.Savings) -> OperationToken:
    """Run four mandates: on the second day one each is settled, released, left, and missed."""
    for ends in ("settled", "released", "in_doubt", "missed"):
        issued = mandates.issue(world, **daily())
        for number in (0, 1):
            if ends != "missed":
                run(world, issued, number, ends)
    held = mandates.issue(world, **daily())
    hold_operation(operation_id=held.row.pk, by=HoldKind.STAFF)
    return held.row


def second_day(row: OperationToken) -> str:
    return str((row.valid_from + DAY).date())


def counted(rows: Any) -> dict[str, tuple[int, int, str]]:
    return {row["status"]: (row["count"], row["amount_minor"], row["amount"]) for row in rows}


def test_names_what_was_missed_and_ends_with_6(mandate: OperationToken, later: datetime) -> None:
    ended = operations("missed", "--executor", "savings")
    assert ended.code == Exit.FINDINGS
    # Of the one that never ran all four, of the three others the last two.
    assert Counter(row["slot"] for row in ended.rows) == {"o0": 1, "o1": 1, "o2": 4, "o3": 4}
    assert operations("missed", "--since", str((later + DAY).date())).rows == []


def test_nothing_missed_is_an_empty_list() -> None:
    assert operations("missed") == (Exit.OK, "[]\n", "")
    assert operations("missed", "--executor", "nobody").code == Exit.NOTHING_MATCHED
    assert operations("missed", "--grace", "soon").code == Exit.USAGE


def test_the_hourly_chore_and_readyz_report_them(
    mandate: OperationToken, later: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    Chores()._report()
    assert caplog.text.count("missed: op_") == 10
    assert Client().get("/readyz").json()["parts"]["occurrences"] == "10 missed within a day"
    assert health.occurrences_state() != health.OK


def test_a_days_totals_by_executor_and_currency(mandate: OperationToken, later: datetime) -> None:
    ended = operations("reconcile", "--date", second_day(mandate))
    one = (1, 5000, "50.00")
    assert ended.code == Exit.OK
    assert counted(ended.rows) == dict.fromkeys(
        ("settled", "released", "in_doubt", "missed", "skipped"), one
    )
    assert {(row["executor"], row["currency"]) for row in ended.rows} == {("savings", "USD")}


def test_the_file_is_the_ledgers_sums(
    mandate: OperationToken, later: datetime, tmp_path: Path
) -> None:
    out = tmp_path / "day.ndjson"
    ended = operations("reconcile", "--date", second_day(mandate), "--out", str(out))
    records = [json.loads(line) for line in out.read_text().splitlines()]

    lines = [r for r in records if r["record"] in ("redemption", "occurrence")]
    assert records[-1] == {
        "record": "end",
        "date": second_day(mandate),
        "count": len(lines),
        "time_zone": "UTC",
    }
    totals = {
        r["status"]: (r["count"], r["amount_minor"]) for r in records if r["record"] == "total"
    }
    assert totals == {
        status: (len(own), sum(line["amount_minor"] for line in own))
        for status in totals
        if (own := [line for line in lines if line["status"] == status])
    }
    assert totals["settled"] == settled_in_the_ledger(second_day(mandate))
    assert hashlib.sha256(out.read_bytes()).hexdigest() in ended.said
    assert out.stat().st_mode & 0o777 == 0o600
    by_hash = set(LedgerEntry.objects.values_list("hash", flat=True))
    assert all(line["entry_hash"] in by_hash for line in lines if line["record"] == "redemption")


def settled_in_the_ledger(day: str) -> tuple[int, int]:
    """Add up the entries' own words: what a reserved entry says, where a settled one follows."""
    amounts: dict[str, int] = {}
    settled = []
    for entry in LedgerEntry.objects.order_by("operation_token_id", "seq"):
        told = json.loads(entry.entry)
        if told["kind"] == "reserved":
            whole = told["data"]["amount"]["amount"].replace(".", "")
            amounts[told["data"]["redemption"]] = int(whole)
        if told["kind"] == "settled" and told["at"].startswith(day):
            settled.append(amounts[told["data"]["redemption"]])
    return len(settled), sum(settled)


def test_csv_has_the_same_lines_and_no_formulas(
    mandate: OperationToken, later: datetime, tmp_path: Path, world: mandates.Savings
) -> None:
    type(world.redeemer).objects.filter(pk=world.redeemer.pk).update(client_id="=cmd()")
    paths = [tmp_path / "day.csv", tmp_path / "day.ndjson"]
    for path in paths:
        operations("reconcile", "--date", second_day(mandate), "--out", str(path))
    rows = list(csv.DictReader(paths[0].read_text().splitlines()))
    assert [row["record"] for row in rows] == [
        json.loads(line)["record"] for line in paths[1].read_text().splitlines()
    ]
    assert {row["executor"] for row in rows} == {"'=cmd()", ""}


def test_what_is_said_of_a_day_does_not_change(
    mandate: OperationToken, later: datetime, world: mandates.Savings, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    operations("reconcile", "--date", second_day(mandate), "--out", str(before))
    for token in OperationToken.objects.all():
        for redemption in token.redemptions.filter(status="reserved"):
            closing = Closing(redemption.pk, 1, "late")
            settle_redemption(by=world.redeemer, closing=closing, now=later - DAY)
    operations("reconcile", "--date", second_day(mandate), "--out", str(after))
    assert before.read_bytes() == after.read_bytes()


def test_a_file_is_never_overwritten(
    mandate: OperationToken, later: datetime, tmp_path: Path
) -> None:
    out = tmp_path / "day.csv"
    out.write_text("mine")
    arguments = ("reconcile", "--date", second_day(mandate), "--out")
    assert operations(*arguments, str(out)).code == Exit.REFUSED
    assert out.read_text() == "mine"
    assert operations(*arguments, str(tmp_path / "no/such/folder")).code == Exit.ERROR
    assert [path.name for path in tmp_path.iterdir()] == ["day.csv"]


@pytest.mark.parametrize(
    ("date", "code"),
    [
        ("2026-02-30", Exit.USAGE),
        ("soon", Exit.USAGE),
        ("9999-12-31", Exit.REFUSED),
        ("0001-01-01", Exit.REFUSED),
        ("2026-01-01", Exit.OK),
    ],
    ids=["no day", "no date", "the last", "the first", "a past one"],
)
def test_only_a_day_that_is_over(date: str, code: Exit) -> None:
    assert operations("reconcile", "--date", date).code == code


def test_today_is_not_over() -> None:
    assert operations("reconcile", "--date", str(datetime.now(UTC).date())).code == Exit.REFUSED
