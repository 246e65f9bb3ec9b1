"""`operations reconcile`: one day's file for those who compare it with the bank's."""

import csv
import io
import json
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import MAXYEAR, MINYEAR, date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management import CommandParser

from accounts.management.arguments import day
from accounts.management.base import ProductCommand, Refused, formula_safe
from batchtokens.management.new_file import new_file
from batchtokens.management.operations.verb import Verb
from batchtokens.models.clock import database_now
from batchtokens.services.reports.account_for_day import (
    UTC,
    Line,
    Totals,
    complete_at,
    day_lines,
    formatted,
)
from batchtokens_verifier.constraints.instants import parse_zone, zone_named
from batchtokens_verifier.errors import InvalidConstraints

COLUMNS = (
    *("record", "date", "status", "executor", "currency", "count", "amount_minor", "amount"),
    *("operation", "slot", "redemption", "attempt", "at", "seq", "entry_hash"),
    "time_zone",
)


class ReconcileDay(Verb):
    """A line for each redemption, then the totals; the file's end says how many lines there are."""

    name = "reconcile"
    help = "Account for one day by executor and currency, into a file with --out."

    def add_options(self, parser: CommandParser) -> None:
        """Declare the day and the file."""
        parser.add_argument("--date", required=True, type=day, help="a day, as 2026-11-21")
        parser.add_argument(
            "--time-zone",
            default=UTC,
            type=_zone,
            metavar="ZONE",
            help="whose day, as Europe/Zurich; UTC where it is not given",
        )
        parser.add_argument("--out", type=Path, help="a new file: CSV for .csv, else NDJSON")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print the totals, and the file's SHA-256."""
        the_day, zone, path = options["date"], options["time_zone"], options["out"]
        if not _is_over(the_day, zone):
            raise Refused(f"{the_day} is not over, or not for long enough: runs may still show.")
        stamp = {"date": str(the_day), "time_zone": zone.key}
        totals = Totals()
        lines = totals.watch(day_lines(the_day, zone))
        if path is None:
            for _ in lines:
                pass
        else:
            with new_file(path) as file:
                write = _csv if path.suffix == ".csv" else _ndjson
                for record in write(_records(stamp, lines, totals)):
                    file.write(record)
            command.say(f"{file.sha256}  {path}")
        command.emit([_total(stamp, key, totals) for key in sorted(totals.by_key)])


def _is_over(the_day: date, zone: ZoneInfo) -> bool:
    if the_day.year in (MINYEAR, MAXYEAR):  # the day beside it may be in no calendar
        return False
    return complete_at(the_day, zone) <= database_now()


def _zone(text: str) -> ZoneInfo:
    try:
        return zone_named(parse_zone(text, ""))
    except InvalidConstraints:
        raise ArgumentTypeError(f"{text} is not a time zone such as Europe/Zurich") from None


def _records(
    stamp: dict[str, Any], lines: Iterable[Line], totals: Totals
) -> Iterator[dict[str, Any]]:
    """Yield what the file holds; the totals when all lines have gone by."""
    for line in lines:
        yield {
            "record": "redemption" if line.redemption else "occurrence",
            **stamp,
            **asdict(line),
            "count": 1,
            "amount": formatted(line.amount_minor, line.currency),
        }
    for key in sorted(totals.by_key):
        yield {"record": "total", **_total(stamp, key, totals)}
    yield {"record": "end", **stamp, "count": totals.lines}


def _total(stamp: dict[str, Any], key: tuple[str, str, str], totals: Totals) -> dict[str, Any]:
    executor, currency, status = key
    total = totals.by_key[key]
    return {
        "id": f"{executor}/{currency}/{status}",
        **stamp,
        "status": status,
        "executor": executor,
        "currency": currency,
        "count": total.count,
        "amount_minor": total.minor,
        "amount": formatted(total.minor, currency),
    }


def _ndjson(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for record in records:
        told = {name: record[name] for name in COLUMNS if record.get(name) not in (None, "")}
        yield json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _csv(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    yield _csv_line(COLUMNS)
    for record in records:
        yield _csv_line(formula_safe(record.get(name)) for name in COLUMNS)


def _csv_line(cells: Iterable[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
