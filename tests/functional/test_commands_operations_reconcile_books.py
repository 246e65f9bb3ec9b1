"""`operations reconcile` as an accountant reads it: days of a zone, currencies, late words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.management.base import Exit
from batchtokens.management.operations import reconcile
from batchtokens.models import LedgerEntry
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.reports import find_missed
from tests import mandates
from tests.commands import operations

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DECIMALS = {"JPY": 0, "USD": 2, "BHD": 3}
# Its clocks go forward on the last Sunday of March, back on that of October.
ZURICH = "Europe/Zurich"
# Its clocks change about Ramadan: in the weeks in which Zurich's next change is a year ahead.
CASABLANCA = "Africa/Casablanca"


def day_of(hours: int) -> tuple[date, str]:
    """Return a day with so many hours that a mandate of today can reach, and its zone."""
    today = datetime.now(UTC).date()
    for zone in (ZURICH, CASABLANCA):
        for day in (today + n * DAY for n in range(4, 355)):
            begins, ends = (
                datetime.combine(each, time(), ZoneInfo(zone)).astimezone(UTC)
                for each in (day, day + DAY)
            )
            if ends - begins == hours * HOUR:
                return day, zone
    raise AssertionError("no clock changes within a year")


@dataclass
class Books:
    """Executors' words at chosen instants, and the files that tell of them."""

    world: mandates.Savings
    folder: Path

    def issue(self, currency: str = "USD", amount: str = "50.00") -> Issued:
        """Issue one fixed amount, redeemable once within a year."""
        return mandates.issue(
            self.world,
            operation={**mandates.OPERATION, "amount": {"amount": amount, "currency": currency}},
            periodic_limits=None,
            valid_to=mandates.in_days(360),
        )

    def reserve(self, issued: Issued, at: datetime, attempt: int = 1) -> Closing:
        operation = json.loads(issued.row.operation)
        key = f"{issued.row.pk}.{attempt}"
        answer = mandates.redeem(self.world, issued, key, operation=operation, now=at)
        return Closing(answer.redemption.pk, attempt, "x")

    def settle(self, closing: Closing, at: datetime) -> None:
        settle_redemption(by=self.world.redeemer, closing=closing, now=at)

    def release(self, closing: Closing, at: datetime) -> None:
        release_redemption(by=self.world.redeemer, closing=closing, now=at)

    def file(self, day: date, zone: str = "UTC") -> list[dict[str, Any]]:
        out = self.folder / f"{day}{zone.replace('/', '-')}.ndjson"
        told = operations("reconcile", "--date", str(day), "--time-zone", zone, "--out", str(out))
        assert told.code == Exit.OK
        return [json.loads(line) for line in out.read_text().splitlines()]

    def told(self, day: date, zone: str = "UTC") -> Counter[str]:
        return Counter(r["status"] for r in self.file(day, zone) if r["record"] == "redemption")


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Books:
    """Look back from two years ahead, when every mandate is over."""
    later = datetime.now(UTC) + 800 * DAY
    for module in (reconcile, find_missed):
        monkeypatch.setattr(module, "database_now", lambda: later)
    return Books(mandates.savings(), tmp_path)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def ledger_sums(begin: datetime, end: datetime, kind: str) -> dict[str, Decimal]:
    """Add up the entries of a time, told independently: with decimals, from their own text."""
    amounts: dict[str, tuple[str, Decimal]] = {}
    sums: dict[str, Decimal] = {}
    for entry in LedgerEntry.objects.order_by("operation_token_id", "seq"):
        told = json.loads(entry.entry)
        data = told["data"]
        if told["kind"] == "reserved":
            amounts[data["redemption"]] = (
                data["amount"]["currency"],
                Decimal(data["amount"]["amount"]),
            )
        if told["kind"] == kind and begin <= entry.at < end:
            currency, amount = amounts[data["redemption"]]
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return sums


def totals(records: list[dict[str, Any]], status: str) -> dict[str, Decimal]:
    return {
        record["currency"]: Decimal(record["amount"])
        for record in records
        if record["record"] == "total" and record["status"] == status
    }


LEFT_OUT = range(2, 21)  # hours in the middle, which are of the day in either zone


def hours_around(day: date) -> Iterator[datetime]:
    """Yield the middle of each hour near the day's two ends."""
    hours = (hour for hour in range(-3, 27) if hour not in LEFT_OUT)
    yield from (midnight(day) + timedelta(hours=hour, minutes=30) for hour in hours)


@pytest.mark.parametrize("hours", [23, 25])
def test_a_day_on_which_clocks_change_has_its_own_hours(books: Books, hours: int) -> None:
    day, zone = day_of(hours)
    for at in hours_around(day):
        books.settle(books.reserve(books.issue(), at), at)

    told = [books.told(day + n * DAY, zone)["settled"] for n in (-1, 0, 1)]
    assert told[1] == hours - len(LEFT_OUT)
    assert sum(told) == len([*hours_around(day)])  # each one once
    assert books.told(day)["settled"] == 24 - len(LEFT_OUT)


def test_the_totals_are_the_ledgers_in_every_currency(books: Books) -> None:
    day = (datetime.now(UTC) + 3 * DAY).date()
    for currency, decimals in DECIMALS.items():
        for number in range(1, 4):
            amount = f"{number * 1111}" + (f".{'019'[:decimals]}" if decimals else "")
            at = midnight(day) + number * HOUR
            closing = books.reserve(books.issue(currency, amount), at)
            (books.release if number == 3 else books.settle)(closing, at)

    records = books.file(day)

    for status in ("settled", "released"):
        sums = ledger_sums(midnight(day), midnight(day) + DAY, status)
        assert totals(records, status) == sums
        assert set(sums) == set(DECIMALS)
    lines = {(r["currency"], r["amount"]) for r in records if r["record"] == "redemption"}
    assert {("JPY", "1111"), ("USD", "1111.01"), ("BHD", "1111.019")} <= lines


def test_each_day_tells_what_it_brought(books: Books) -> None:
    """Reserved on one day, released on the next, taken again on a third, settled on a fourth."""
    day = (datetime.now(UTC) + 3 * DAY).date()
    noon, issued = midnight(day) + 12 * HOUR, books.issue()
    books.release(books.reserve(issued, noon), noon + DAY)
    books.settle(books.reserve(issued, noon + 2 * DAY, attempt=2), noon + 3 * DAY)

    told = [books.told(day + n * DAY) for n in range(5)]

    assert told == [{"in_doubt": 1}, {"released": 1}, {"in_doubt": 1}, {"settled": 1}, {}]


def test_a_lease_that_ends_after_midnight_is_in_doubt_the_next_day(books: Books) -> None:
    """Or nothing would ever say so of a redemption that no one closes."""
    day = (datetime.now(UTC) + 3 * DAY).date()
    late = midnight(day + DAY) - timedelta(minutes=1)
    left, settled = books.issue(), books.issue()
    books.reserve(left, late)
    books.settle(books.reserve(settled, late), late + timedelta(minutes=2))

    assert books.told(day) == {"reserved": 2}
    assert books.told(day + DAY) == {"in_doubt": 1, "settled": 1}
    assert books.told(day + 2 * DAY) == {}


def test_a_lease_that_ends_at_midnight_is_in_doubt_that_day_only(books: Books) -> None:
    day = (datetime.now(UTC) + 3 * DAY).date()
    books.reserve(books.issue(), midnight(day + DAY) - timedelta(seconds=300))

    assert (books.told(day), books.told(day + DAY)) == ({"in_doubt": 1}, {})


def test_every_record_names_its_zone(books: Books) -> None:
    day = (datetime.now(UTC) + 3 * DAY).date()
    at = midnight(day) + HOUR
    books.settle(books.reserve(books.issue(), at), at)
    assert {record["time_zone"] for record in books.file(day, ZURICH)} == {ZURICH}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", ""])
def test_an_unknown_zone_is_no_zone(books: Books, zone: str) -> None:
    assert operations("reconcile", "--date", "2026-01-01", "--time-zone", zone).code == Exit.USAGE
