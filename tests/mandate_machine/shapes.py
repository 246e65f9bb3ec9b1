"""The shapes of mandates that worlds have: what the person limits, without its validity."""

from __future__ import annotations

from typing import Any

from tests.mandate_machine.words import usd

DAY = {"period_alignment": "calendar", "time_zone": "Europe/Berlin", "period_type": "day"}
WEEK = {"period_alignment": "consent", "time_zone": "UTC", "period_type": "week"}
YEAR = {"period_alignment": "calendar", "time_zone": "America/New_York", "period_type": "year"}
VARIABLE = {"max_individual_amount": usd(6000)}

# By name: the constraints, and whether the operation has an amount.
SHAPES: dict[str, tuple[dict[str, Any], bool]] = {
    "one a day, three in all": (
        {"periodic_limits": [DAY | usd(5000) | {"max_count": 1}], "max_total": usd(15000)},
        True,
    ),
    "variable, three a day, five a week": (
        {
            **VARIABLE,
            "periodic_limits": [DAY | usd(10000) | {"max_count": 3}, WEEK | {"max_count": 5}],
            "max_total": usd(25000),
        },
        False,
    ),
    "variable, two a day and two a week": (
        {
            "max_individual_amount": usd(5000),
            "periodic_limits": [DAY | {"max_count": 2}, WEEK | {"max_count": 2}],
            "max_total": usd(90000),
        },
        False,
    ),
    "variable, a sum a year": (
        {**VARIABLE, "periodic_limits": [YEAR | usd(12000) | {"max_count": 6}]},
        False,
    ),
    "variable, six in its life, small in all": (
        {**VARIABLE, "max_occurrences": 6, "max_total": usd(20000)},
        False,
    ),
    "scheduled, windows that overlap": (
        {"schedule": "FREQ=DAILY;COUNT=4", "due_window": "PT36H", "max_total": usd(15000)},
        True,
    ),
    "scheduled by Berlin's clocks, cut short": (
        {
            "schedule": "FREQ=DAILY;COUNT=4",
            "due_window": "PT30H",
            "periodic_limits": [DAY | {"max_count": 1}],
        },
        True,
    ),
    "two in its life": ({"max_occurrences": 2}, True),
}
