"""Schedules, against published due times and against dateutil where it has no months to clamp."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from batchtokens_verifier.constraints.schedules import Rule, expand
from batchtokens_verifier.errors import InvalidConstraints
from tests.unit.verifier.vectors import load

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def due(vector: dict[str, Any]) -> list[str]:
    rule = Rule.parse(vector["schedule"], allow_secondly=vector.get("allow_secondly", False))
    instants = expand(
        rule,
        valid_from=datetime.fromisoformat(vector.get("valid_from", "2026-12-01T09:00:00Z")),
        valid_to=datetime.fromisoformat(vector.get("valid_to", "2026-12-31T09:00:00Z")),
        zone=ZoneInfo(vector.get("time_zone", "UTC")),
    )
    return [instant.strftime("%Y-%m-%dT%H:%M:%SZ") for instant in instants]


@pytest.mark.spec("RFC 7529", "4.1")
def test_schedules_are_due_when_published() -> None:
    vectors = load("schedules")["vectors"] + load("schedules")["odd_days"]
    expected = {vector["name"]: vector["due"] for vector in vectors}

    assert {vector["name"]: due(vector) for vector in vectors} == expected


def test_schedules_are_refused() -> None:
    for vector in load("schedules")["refused"]:
        with pytest.raises(InvalidConstraints) as refusal:
            pytest.fail(f"{vector['name']}: {due(vector)}")
        assert refusal.value.pointer == "/schedule"


def test_five_thousand_occurrences_are_the_most() -> None:
    rule = Rule.parse("FREQ=SECONDLY;COUNT=5000", allow_secondly=True)
    start = datetime(2026, 12, 1, tzinfo=UTC)

    dues = expand(rule, valid_from=start, valid_to=start + timedelta(days=1), zone=ZoneInfo("UTC"))

    assert dues[-1] == start + timedelta(seconds=4999)


def some(choices: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Draw a rule that dateutil reads as we do: none of its days is missing from a month."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]
    if frequency == "YEARLY" or draw(st.booleans()):
        parts.append(f"BYMONTH={draw(some([str(month) for month in range(1, 13)]))}")
    if draw(st.booleans()):
        # dateutil reads 1MO,MO as neither; we read it as RFC 5545 does, as both.
        ordinals = draw(st.sampled_from([["1", "2", "-1"], [""]]))
        days = [n + day for n in ordinals if frequency == "MONTHLY" or not n for day in WEEKDAYS]
        parts.append(f"BYDAY={draw(some(days or WEEKDAYS))}")
    if frequency != "WEEKLY" and draw(st.booleans()):
        parts.append(f"BYMONTHDAY={draw(some([str(day) for day in (1, 9, 13, 28, -1, -28)]))}")
    return ";".join(parts)


@settings(max_examples=12)
@given(rules(), st.integers(0, 1500))
def test_expansion_agrees_with_dateutil(text: str, day: int) -> None:
    start = datetime(2024, 1, 1, 9, tzinfo=UTC) + timedelta(days=day)
    start = start.replace(day=min(start.day, 28))
    end = start + timedelta(days=366)
    ending = f"{text};UNTIL={end - timedelta(seconds=1):%Y%m%dT%H%M%SZ}"

    try:
        dues = expand(Rule.parse(ending), valid_from=start, valid_to=end, zone=ZoneInfo("UTC"))
    except InvalidConstraints:
        dues = ()

    assert list(dues) == list(rrulestr(ending, dtstart=start))
