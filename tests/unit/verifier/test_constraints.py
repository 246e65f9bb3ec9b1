"""Constraints as they are parsed: each wrong member is named, and nothing unread slips in."""

from typing import Any

import pytest

from batchtokens_verifier.constraints import Amount, Constraints, plan_slots
from batchtokens_verifier.errors import InvalidConstraints

FIFTY = Amount(5000, "USD")
MONEY = {"amount": "50.00", "currency": "USD"}
MONTH = {"period_type": "month", "period_alignment": "consent", "time_zone": "UTC"}
GOOD: dict[str, Any] = {
    "valid_from": "2026-12-01T08:00:00Z",
    "valid_to": "2027-12-01T08:00:00Z",
    "schedule": "FREQ=MONTHLY;COUNT=12",
    "due_window": "P3D",
    "max_individual_amount": MONEY,
    "periodic_limits": [MONTH | MONEY | {"max_count": 1}],
    "max_total": {"amount": "600.00", "currency": "USD"},
    "max_occurrences": 12,
}


def changed(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | members).items() if value is not ...}


def limited(**members: Any) -> dict[str, Any]:
    limit = MONTH | MONEY | {"max_count": 1} | members
    return changed(
        periodic_limits=[{name: value for name, value in limit.items() if value is not ...}]
    )


def test_wire_form_round_trips() -> None:
    constraints = Constraints.parse(GOOD, operation_amount=FIFTY)

    assert constraints.as_json() == GOOD
    assert list(constraints.as_json()) == list(GOOD)


def test_only_present_members_are_written() -> None:
    validity = {"valid_from": GOOD["valid_from"], "valid_to": GOOD["valid_to"]}

    assert Constraints.parse(validity, operation_amount=FIFTY).as_json() == validity


def test_zone_is_utc_where_absent() -> None:
    constraints = Constraints.parse(limited(time_zone=...), operation_amount=FIFTY)

    assert constraints.periodic_limits[0].time_zone == "UTC"


@pytest.mark.parametrize(
    ("text", "written"),
    [("PT60S", "PT1M"), ("PT1H30M", "PT1H30M"), ("P1DT12H", "P1DT12H"), ("PT48H", "P2D")],
)
def test_window_is_written_in_its_shortest_form(text: str, written: str) -> None:
    constraints = Constraints.parse(changed(due_window=text), operation_amount=FIFTY)

    assert constraints.as_json()["due_window"] == written


REFUSED = [
    (changed(max_speed="1"), ""),
    ([], ""),
    (None, ""),
    (changed(valid_from=...), "/valid_from"),
    (changed(valid_to=...), "/valid_to"),
    (changed(valid_to=GOOD["valid_from"]), "/valid_to"),
    (changed(valid_to="2027-12-02T08:00:01Z"), "/valid_to"),
    (changed(valid_from="2026-12-01T08:00:00.5Z"), "/valid_from"),
    (changed(valid_from="2026-12-01T08:00:00+00:00"), "/valid_from"),
    (changed(valid_from="2026-12-01 08:00:00Z"), "/valid_from"),
    (changed(valid_from="2026-12-01T08:00:00z"), "/valid_from"),
    (changed(valid_from="2026-02-30T08:00:00Z"), "/valid_from"),
    (changed(valid_from="2026-12-01T08:00:60Z"), "/valid_from"),
    (changed(valid_from="9999-12-01T08:00:00Z"), "/valid_from"),
    (changed(valid_from=1796112000), "/valid_from"),
    (changed(schedule=None), "/schedule"),
    (changed(schedule="FREQ=MONTHLY"), "/schedule"),
    (changed(schedule=...), "/due_window"),
    (changed(due_window=...), "/due_window"),
    (changed(due_window="P1M"), "/due_window"),
    (changed(due_window="P1W"), "/due_window"),
    (changed(due_window="PT0S"), "/due_window"),
    (changed(due_window="P"), "/due_window"),
    (changed(due_window="PT"), "/due_window"),
    (changed(due_window="P1DT"), "/due_window"),
    (changed(due_window="PT1.5H"), "/due_window"),
    (changed(due_window="-P1D"), "/due_window"),
    (changed(due_window="P999999D"), "/due_window"),
    (changed(due_window="P366DT1S"), "/due_window"),
    (changed(due_window="P99999DT99999H"), "/due_window"),
    (changed(due_window=3), "/due_window"),
    (changed(max_individual_amount="50.00"), "/max_individual_amount"),
    (
        changed(max_individual_amount={"amount": "49.99", "currency": "USD"}),
        "/max_individual_amount/amount",
    ),
    (
        changed(max_individual_amount={"amount": 50.0, "currency": "USD"}),
        "/max_individual_amount/amount",
    ),
    (
        changed(max_individual_amount={"amount": "50.00", "currency": "EUR"}),
        "/max_individual_amount/currency",
    ),
    (changed(max_total={"amount": "600.00", "currency": "EUR"}), "/max_total/currency"),
    (changed(max_total=None), "/max_total"),
    (changed(max_occurrences=11), "/max_occurrences"),
    (changed(max_occurrences=0), "/max_occurrences"),
    (changed(max_occurrences=True), "/max_occurrences"),
    (changed(max_occurrences=12.0), "/max_occurrences"),
    (changed(max_occurrences="12"), "/max_occurrences"),
    (changed(max_occurrences=None), "/max_occurrences"),
    (changed(periodic_limits={}), "/periodic_limits"),
    (changed(periodic_limits=[MONTH | MONEY] * 11), "/periodic_limits"),
    (changed(periodic_limits=["month"]), "/periodic_limits/0"),
    (limited(max_speed=1), "/periodic_limits/0"),
    (limited(amount=..., currency=..., max_count=...), "/periodic_limits/0"),
    (limited(currency=...), "/periodic_limits/0"),
    (limited(currency="EUR"), "/periodic_limits/0/currency"),
    (limited(amount="50"), "/periodic_limits/0/amount"),
    (limited(max_count=0), "/periodic_limits/0/max_count"),
    (limited(max_count=-1), "/periodic_limits/0/max_count"),
    (limited(max_count=1_000_001), "/periodic_limits/0/max_count"),
    (limited(period_type="fortnight"), "/periodic_limits/0/period_type"),
    (limited(period_type=...), "/periodic_limits/0/period_type"),
    (limited(period_type=["month"]), "/periodic_limits/0/period_type"),
    (limited(period_alignment="fiscal"), "/periodic_limits/0/period_alignment"),
    (limited(period_alignment=...), "/periodic_limits/0/period_alignment"),
    (limited(time_zone="Mars/Olympus"), "/periodic_limits/0/time_zone"),
    (limited(time_zone="America"), "/periodic_limits/0/time_zone"),
    (limited(time_zone="../../etc/passwd"), "/periodic_limits/0/time_zone"),
    (limited(time_zone="/etc/localtime"), "/periodic_limits/0/time_zone"),
    (limited(time_zone="localtime"), "/periodic_limits/0/time_zone"),
    (limited(time_zone="right/UTC"), "/periodic_limits/0/time_zone"),
    (limited(time_zone="UTC\x00"), "/periodic_limits/0/time_zone"),
    (limited(time_zone=""), "/periodic_limits/0/time_zone"),
    (limited(time_zone=1), "/periodic_limits/0/time_zone"),
]


def refused_at(value: Any) -> str | None:
    try:
        Constraints.parse(value, operation_amount=FIFTY)
    except InvalidConstraints as refusal:
        return refusal.pointer
    return None


def test_wrong_member_is_named() -> None:
    assert [(value, refused_at(value)) for value, _ in REFUSED] == REFUSED


def test_variable_operation_needs_a_cap() -> None:
    with pytest.raises(InvalidConstraints) as refusal:
        Constraints.parse(changed(max_individual_amount=...), operation_amount=None)

    assert refusal.value.pointer == "/max_individual_amount"


def test_variable_operation_has_its_caps_currency() -> None:
    value = changed(max_total={"amount": "600.00", "currency": "EUR"})

    with pytest.raises(InvalidConstraints):
        Constraints.parse(value, operation_amount=None)


def test_year_may_hold_a_leap_day() -> None:
    value = {"valid_from": "2028-01-01T00:00:00Z", "valid_to": "2029-01-01T00:00:00Z"}

    assert Constraints.parse(value, operation_amount=FIFTY).as_json() == value


@pytest.mark.parametrize(("per_day", "accepted"), [(499, True), (500, True), (501, False)])
def test_periods_make_at_most_5000_slots(per_day: int, accepted: bool) -> None:
    limit = {"period_type": "day", "period_alignment": "calendar", "max_count": per_day}
    value = {
        "valid_from": "2026-12-01T00:00:00Z",
        "valid_to": "2026-12-11T00:00:00Z",
        "periodic_limits": [limit],
    }

    if accepted:
        constraints = Constraints.parse(value, operation_amount=FIFTY)
        assert plan_slots(constraints).capacity == 10 * per_day
        return
    with pytest.raises(InvalidConstraints):
        Constraints.parse(value, operation_amount=FIFTY)


def test_schedule_in_seconds_is_for_development() -> None:
    value = changed(schedule="FREQ=SECONDLY;INTERVAL=3;COUNT=12")

    assert Constraints.parse(value, operation_amount=FIFTY, allow_secondly=True).as_json() == value
    with pytest.raises(InvalidConstraints):
        Constraints.parse(value, operation_amount=FIFTY)
