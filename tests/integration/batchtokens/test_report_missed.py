"""The hourly report names what looking at every mandate names, at the cost of what is due."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import SecurityEvent
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.occurrences import GRACE
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.settle import Closing, release_redemption
from batchtokens.services.reports import find_newly_closed as find_newly_closed_module
from batchtokens.services.reports import report_missed as module
from batchtokens.services.reports.find_missed import Search, find_occurrences
from batchtokens.services.reports.find_newly_closed import NEVER, find_newly_closed
from batchtokens.services.reports.report_missed import CODE, LOOK_BACK, report_missed
from batchtokens_verifier.constraints import format_instant
from batchtokens_verifier.errors import ProblemError
from tests import mandates
from tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SHAPES: list[dict[str, Any]] = [
    {"schedule": "FREQ=DAILY;COUNT=6", "due_window": "PT2H"},
    {"schedule": "FREQ=DAILY;COUNT=6", "due_window": "P2D"},  # windows overlap
    {"schedule": "FREQ=WEEKLY;COUNT=2", "due_window": "PT20H"},
    {},  # a place a day: the first alone is due
    {"periodic_limits": None, "max_occurrences": 2},
]


def reported() -> set[str]:
    return {event.data["run"] for event in SecurityEvent.objects.filter(code=CODE)}


def slowly_found(now: datetime) -> set[str]:
    """Look at every mandate."""
    pages = find_occurrences(Search(since=now - LOOK_BACK), now=now)
    return {found.name for page in pages for found in page}


def happen(world: mandates.Savings, issued: Issued, dice: random.Random, now: datetime) -> None:
    """Let one thing befall a mandate, where it can."""
    row = OperationToken.objects.get(pk=issued.row.pk)
    if row.cancelled_at or not row.valid_from <= now < row.valid_to:
        return
    chance = dice.random()
    if chance < 0.05:
        cancel_operation(operation_id=row.pk, by=HoldKind.USER, now=now)
    elif chance < 0.25:
        change = resume_operation if row.holds else hold_operation
        change(operation_id=row.pk, by=HoldKind.STAFF, now=now)
    elif chance < 0.6:
        take(world, issued, dice, now)


def take(world: mandates.Savings, issued: Issued, dice: random.Random, now: datetime) -> None:
    try:
        key = f"{issued.row.pk}.{now.timestamp()}"
        answer = mandates.redeem(world, issued, key, now=now)
    except ProblemError:
        return
    if dice.random() < 0.3:
        closing = Closing(answer.redemption.pk, answer.redemption.attempt, "x")
        release_redemption(by=world.redeemer, closing=closing, now=now)


def instants(begin: datetime, dice: random.Random) -> Iterator[datetime]:
    """Yield when the report runs: each hour or so, once after more days than it looks back."""
    now, away = begin, dice.random() < 0.5
    while now < begin + 12 * DAY:
        now += dice.choice([17 * MINUTE, HOUR, 5 * HOUR])
        if away and now > begin + 3 * DAY:
            now, away = now + LOOK_BACK + DAY, False
        yield now


@pytest.mark.parametrize("seed", range(6))
def test_it_names_what_looking_at_every_mandate_names(seed: int) -> None:
    dice = random.Random(seed)
    world, slow = mandates.savings(), set[str]()
    stories: list[Issued] = []
    begin = mandates.issue(world).row.valid_from
    for now in instants(begin, dice):
        if dice.random() < 0.1 and len(stories) < 8:
            start = begin + dice.randrange(5) * DAY
            end = format_instant(start + 8.5 * DAY)
            limits = dice.choice(SHAPES) | {"valid_from": format_instant(start), "valid_to": end}
            stories.append(mandates.issue(world, **limits))
        for issued in stories:
            happen(world, issued, dice, now)
        list(report_missed(now=now))
        slow |= slowly_found(now)
        assert reported() == slow

    assert slow


def looked_at(now: datetime) -> int:
    """Run the report; return how many mandates it looked at."""
    search = Search(since=now - LOOK_BACK)
    count = sum(len(looked.tokens) for looked in find_newly_closed(search, at=now))
    list(report_missed(now=now))
    return count


def daily(world: mandates.Savings, **limits: Any) -> OperationToken:
    members = {"schedule": "FREQ=DAILY;COUNT=6", "due_window": "PT2H", "periodic_limits": None}
    return mandates.issue(world, **(members | limits)).row


def test_it_looks_at_each_once_and_then_at_those_with_a_window_closed() -> None:
    world = mandates.savings()
    row = daily(world)
    other = daily(world, schedule="FREQ=WEEKLY;COUNT=2")
    now = row.valid_from + MINUTE

    assert looked_at(now) == 2
    assert looked_at(now + HOUR) == 0
    assert looked_at(row.valid_from + 2 * HOUR + GRACE) == 0
    assert looked_at(other.valid_from + 2 * HOUR + GRACE + MINUTE) == 2
    assert looked_at(other.valid_from + DAY + 2 * HOUR + GRACE + MINUTE) == 1
    assert len(reported()) == 3


def test_what_is_over_is_left_out_unseen() -> None:
    world = mandates.savings()
    ended, cancelled = daily(world), daily(world)
    cancel_operation(operation_id=cancelled.pk, by=HoldKind.USER, now=cancelled.valid_from + MINUTE)
    now = ended.valid_to + LOOK_BACK + MINUTE

    assert looked_at(now) == 0
    assert set(OperationToken.objects.values_list("next_close_at", flat=True)) == {NEVER}


def test_what_is_over_is_left_out_by_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade it may be nearly all that there is: no statement has the time for that."""
    monkeypatch.setattr(find_newly_closed_module, "LEFT_OUT", 2, raising=False)
    world = mandates.savings()
    rows = [daily(world) for _ in range(5)]
    changed: list[int] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE"):
            changed.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(count):
        assert looked_at(rows[0].valid_to + LOOK_BACK + MINUTE) == 0
    assert changed == [2, 2, 1]
    assert set(OperationToken.objects.values_list("next_close_at", flat=True)) == {NEVER}


def test_after_its_last_window_nobody_looks_again() -> None:
    row = daily(mandates.savings())
    assert looked_at(row.valid_to) == 1
    row.refresh_from_db()
    assert row.next_close_at == NEVER
    assert looked_at(row.valid_to + DAY) == 0


def test_a_crash_before_the_note_reports_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    row = daily(mandates.savings())
    now = row.valid_from + DAY
    with monkeypatch.context() as broken:
        broken.setattr(module, "note_next_closes", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(report_missed(now=now))

    assert sum(report_missed(now=now)) == 0
    assert SecurityEvent.objects.filter(code=CODE).count() == 1


def test_two_workers_at_once_leave_one_row_each() -> None:
    world = mandates.savings()
    rows = [daily(world) for _ in range(5)]
    now = rows[-1].valid_from + DAY
    at_once(*[lambda: sum(report_missed(now=now))] * 3)
    assert reported() == {f"{row.public_id}.o0" for row in rows}


@pytest.mark.postgresql  # SQLite has no row locks
def test_a_locked_row_is_looked_at_once_more() -> None:
    row = daily(mandates.savings())
    now = row.valid_from + DAY

    with transaction.atomic():
        OperationToken.objects.select_for_update().get(pk=row.pk)
        at_once(lambda: list(report_missed(now=now)))

    assert (looked_at(now + MINUTE), looked_at(now + 2 * MINUTE)) == (1, 0)
    assert len(reported()) == 1
