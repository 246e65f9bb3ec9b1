"""I7 in the database: each due occurrence is counted once, and each missed one reported once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.models import SecurityEvent
from batchtokens.models import HoldKind, OperationToken, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.occurrences import GRACE, OccurrenceState
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.reports import find_missed as module
from batchtokens.services.reports.find_missed import Search, find_occurrences
from batchtokens.services.reports.report_missed import missed_recently, report_missed
from tests import factories, mandates
from tests.budgets import budget

pytestmark = pytest.mark.django_db(transaction=True)
WINDOW, DAY, LEASE = timedelta(hours=2), timedelta(days=1), timedelta(hours=1)
RUNS = 6
EVERY = frozenset(OccurrenceState)


def daily(world: mandates.Savings, **limits: Any) -> Issued:
    """Issue a mandate of six days; the last day's window would end after the mandate does."""
    members = {
        "schedule": f"FREQ=DAILY;COUNT={RUNS}",
        "due_window": "PT2H",
        "valid_to": mandates.in_days(RUNS - 1 + 1 / 24),
        **limits,
    }
    return mandates.issue(world, **members)


def found(search: Search, now: datetime) -> list[module.Found]:
    return [each for page in find_occurrences(search, now=now) for each in page]


def missed(now: datetime, **search: Any) -> list[str]:
    return [each.occurrence.slot.name for each in found(Search(**search), now)]


@dataclass
class Story:
    """What happens to one mandate, and, told independently, what became of each of its runs."""

    world: mandates.Savings
    issued: Issued
    dice: random.Random
    held: bool = False
    cancelled: bool = False
    told: Counter[str] = field(default_factory=Counter)

    def day(self, number: int) -> None:
        """Let something happen in the window of one run, and note how the day ends."""
        due = self.issued.row.valid_from + number * DAY
        last = number == RUNS - 1
        if self.cancelled:
            self.told["cancelled"] += 1
            return
        self._hold_or_lift(due + timedelta(minutes=1))
        if self.dice.random() < 0.08:
            cancel_operation(
                operation_id=self.issued.row.pk, by=HoldKind.USER, now=due + timedelta(minutes=2)
            )
            self.cancelled = True
            self.told["cancelled"] += 1
        elif self.held:
            self.told["skipped"] += 1
        elif self.dice.random() < 0.6:
            self.told[self._redeem(number, due + timedelta(minutes=3))] += 1
        else:
            self.told["expired" if last else "missed"] += 1

    def _hold_or_lift(self, at: datetime) -> None:
        if self.dice.random() < 0.3:
            change = resume_operation if self.held else hold_operation
            change(operation_id=self.issued.row.pk, by=HoldKind.STAFF, now=at)
            self.held = not self.held

    def _redeem(self, number: int, at: datetime) -> str:
        key, slot = f"{self.issued.row.pk}.{number}", f"o{number}"
        answer = mandates.redeem(self.world, self.issued, key, occurrence=slot, now=at)
        closing = Closing(answer.redemption.pk, 1, "x")
        match self.dice.choice(["settled", "released", "in_doubt"]):
            case "settled":
                settle_redemption(by=self.world.redeemer, closing=closing, now=at)
                return "settled"
            case "released":
                release_redemption(by=self.world.redeemer, closing=closing, now=at)
                return "released"
        return "in_doubt"


@pytest.mark.parametrize("seed", range(12))
def test_due_is_the_sum_of_what_became_of_it(seed: int) -> None:
    dice = random.Random(seed)
    world = mandates.savings()
    stories = [Story(world, daily(world), dice) for _ in range(3)]
    for story in stories:
        for number in range(RUNS):
            story.day(number)

    end = max(story.issued.row.valid_to for story in stories) + GRACE + DAY
    counted = Counter(each.occurrence.state.value for each in found(Search(states=EVERY), end))

    assert counted == sum((story.told for story in stories), Counter[str]())
    assert counted.total() == len(stories) * RUNS
    stored = Counter(Redemption.objects.values_list("status", flat=True))
    assert stored["settled"] == counted["settled"]
    assert stored["released"] == counted["released"]
    assert stored["reserved"] == counted["reserved"] + counted["in_doubt"]


def test_a_run_is_missed_after_its_window_and_the_grace() -> None:
    row = daily(mandates.savings()).row
    over = row.valid_from + WINDOW + GRACE
    assert missed(over) == []
    assert missed(over + timedelta(microseconds=1)) == ["o0"]
    assert missed(row.valid_from + WINDOW + timedelta(seconds=1), grace=timedelta()) == ["o0"]


def test_a_search_is_narrowed_by_time_and_executor() -> None:
    world = mandates.savings()
    row = daily(world).row
    other = factories.service_client("other", scopes=["redeem"], audience="https://o.example/")
    end = row.valid_to + DAY
    closed = row.valid_from + 2 * DAY + WINDOW
    assert missed(end, since=closed) == ["o2", "o3", "o4"]
    assert missed(end, since=closed, until=closed + DAY) == ["o2"]
    assert missed(end, executor=world.redeemer) == ["o0", "o1", "o2", "o3", "o4"]
    assert missed(end, executor=other.client) == []


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_no_page_is_left_out(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", size)
    world = mandates.savings()
    rows = [daily(world).row for _ in range(3)]
    now = rows[-1].valid_from + DAY
    assert {each.token.pk for each in found(Search(), now)} == {row.pk for row in rows}


def test_a_page_costs_three_statements_whatever_its_size() -> None:
    world = mandates.savings()
    for _ in range(4):
        row = daily(world).row
    with budget(4):  # and one that finds no further page
        assert len(missed(row.valid_from + DAY)) == 4


def test_each_missed_occurrence_is_reported_once() -> None:
    world = mandates.savings()
    row = daily(world).row
    now = row.valid_from + WINDOW + DAY + GRACE + timedelta(seconds=1)

    assert sum(report_missed(now=now)) == 2
    assert sum(report_missed(now=now)) == 0
    assert sum(report_missed(now=now + DAY)) == 1

    events = SecurityEvent.objects.filter(code="occurrence_missed")
    assert {event.data["run"] for event in events} == {f"{row.public_id}.o{n}" for n in range(3)}
    assert {event.user for event in events} == {world.alice}
    assert missed_recently(now=now + DAY) == 3
    assert missed_recently(now=now + 3 * DAY) == 0


def test_a_cancelled_mandate_reports_nothing_after() -> None:
    row = daily(mandates.savings()).row
    cancel_operation(operation_id=row.pk, by=HoldKind.USER, now=row.valid_from + DAY / 2)
    assert missed(row.valid_to + DAY) == ["o0"]
    assert missed(row.valid_to + DAY, since=row.valid_from + DAY) == []
    assert OperationToken.objects.get().cancelled_at is not None
