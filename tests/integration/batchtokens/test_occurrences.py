"""I7: every due occurrence is in exactly one class, and only time and entries move it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchtokens.models import HoldKind, Redemption, RedemptionStatus
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.occurrences import (
    GRACE,
    History,
    Occurrence,
    OccurrenceState,
    Pause,
    classify,
    fold_pauses,
    tell_occurrences,
)
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.constraints import Amount, Constraints, SlotPlan, plan_slots
from tests import mandates
from tests.budgets import budget

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMIT = {
    "period_type": "day",
    "period_alignment": "consent",
    "time_zone": "UTC",
    "amount": "50.00",
    "currency": "USD",
    "max_count": 1,
}
DAILY = {"schedule": "FREQ=DAILY;COUNT=5", "due_window": "PT2H"}


def plan(**members: Any) -> SlotPlan:
    given = {
        "valid_from": "2026-03-01T09:00:00Z",
        "valid_to": "2026-03-05T10:00:00Z",
        "periodic_limits": [LIMIT],
        **members,
    }
    return plan_slots(Constraints.parse(given, operation_amount=Amount(5000, "USD")))


def redemption(slot: str, status: str, lease_ends: datetime = START + HOUR) -> Redemption:
    return Redemption(slot=slot, status=status, lease_expires_at=lease_ends)


def states(
    history: History, at: datetime, of: SlotPlan | None = None
) -> Mapping[str, OccurrenceState]:
    return {each.slot.name: each.state for each in classify(of or plan(**DAILY), history, at=at)}


def test_what_nothing_stopped_is_missed_after_its_window_and_grace() -> None:
    closed = START + 2 * HOUR
    assert states(History(), START - timedelta(microseconds=1)) == {}
    assert states(History(), START) == {"o0": "waiting"}
    assert states(History(), closed + GRACE) == {"o0": "waiting"}
    assert states(History(), closed + GRACE + timedelta(microseconds=1)) == {"o0": "missed"}


@pytest.mark.parametrize(
    ("start", "end", "state"),
    [
        (0, None, "skipped"),
        (120, None, "skipped"),  # in its last moment
        (121, None, "missed"),
        (0, 120, "missed"),  # lifted in time to run
        (0, 121, "skipped"),
    ],
    ids=str,
)
def test_what_was_held_when_its_window_closed_is_skipped(
    start: int, end: int | None, state: str
) -> None:
    hold = Pause(
        START + timedelta(minutes=start),
        None if end is None else START + timedelta(minutes=end),
    )
    assert states(History([hold]), START + 4 * HOUR) == {"o0": state}


def test_a_cancel_takes_what_is_open_and_leaves_what_was_over() -> None:
    history = History(cancelled_at=START + DAY + HOUR)
    told = states(history, START + 2 * DAY)
    assert told == {"o0": "missed", "o1": "cancelled", "o2": "cancelled"}
    assert states(history, START + DAY + HOUR)["o1"] == "cancelled"  # at once: it is final


def test_a_window_that_the_end_cut_short_has_expired() -> None:
    assert states(History(), START + 9 * DAY)["o4"] == "expired"
    assert states(History([Pause(START)]), START + 9 * DAY)["o4"] == "skipped"


def test_a_taken_slot_tells_its_redemptions_state_whatever_else_happened() -> None:
    history = History(
        [Pause(START)],
        START,
        {
            "o0": redemption("o0", "settled"),
            "o1": redemption("o1", "released"),
            "o2": redemption("o2", "reserved"),
            "o3": redemption("o3", "reserved", START + 9 * DAY),
        },
    )
    assert states(history, START + 3 * DAY) == {
        "o0": "settled",
        "o1": "released",
        "o2": "in_doubt",
        "o3": "reserved",
    }


def test_without_a_schedule_only_the_first_period_is_due_unless_taken() -> None:
    taken = History(redemptions={"p2": redemption("p2", "settled")})
    told = states(taken, START + 9 * DAY, plan())
    assert told == {"p0": "missed", "p2": "settled"}


def test_a_period_that_was_held_to_its_end_is_skipped() -> None:
    held = History([Pause(START, START + DAY)])
    assert states(held, START + 9 * DAY, plan()) == {"p0": "skipped"}


def test_holds_of_several_kinds_are_one_time_of_holding() -> None:
    changes = [(START, True), (START + HOUR, True), (START + 2 * HOUR, False), (START + DAY, True)]
    assert fold_pauses(changes) == [Pause(START, START + 2 * HOUR), Pause(START + DAY)]


instants = st.integers(-60, 60 * 24 * 6).map(lambda minutes: START + timedelta(minutes=minutes))
taken = st.dictionaries(
    st.sampled_from(["o0", "o1", "o2", "o3", "o4"]),
    st.tuples(st.sampled_from(["reserved", "settled", "released"]), instants),
)
changed = st.lists(st.tuples(instants, st.booleans()), max_size=8)
# Time alone ends a lease and a window.
FINAL = frozenset(OccurrenceState) - {OccurrenceState.WAITING, OccurrenceState.RESERVED}


@given(taken, changed, st.none() | instants, instants, instants)
def test_every_due_occurrence_has_exactly_one_class_and_keeps_it(
    slots: dict[str, tuple[str, datetime]],
    changes: list[tuple[datetime, bool]],
    cancelled_at: datetime | None,
    one: datetime,
    other: datetime,
) -> None:
    history = History(
        fold_pauses(sorted(changes, key=lambda change: change[0])),
        cancelled_at,
        {name: redemption(name, status, lease) for name, (status, lease) in slots.items()},
    )
    of = plan(**DAILY)
    early, late = sorted((one, other))

    told: list[Occurrence] = list(classify(of, history, at=late))

    due = [slot.name for slot in of.slots if slot.opens_at <= late]
    assert [each.slot.name for each in told] == due  # none twice, none left out
    assert sum(1 for each in told for state in OccurrenceState if each.state is state) == len(due)
    after = {each.slot.name: each.state for each in told}
    for name, state in states(history, early, of).items():
        if state in FINAL:
            assert after[name] == state


@pytest.mark.django_db(transaction=True)
def test_the_rows_and_the_ledger_tell_it_in_two_statements() -> None:
    world = mandates.savings()
    held, cancelled, used = (mandates.issue(world) for _ in range(3))
    for kind in (HoldKind.USER, HoldKind.STAFF):
        hold_operation(operation_id=held.row.pk, by=kind)
    resume_operation(operation_id=held.row.pk, by=HoldKind.USER)
    cancel_operation(operation_id=cancelled.row.pk, by=HoldKind.USER)
    answer = mandates.redeem(world, used, amount=None)
    settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1))
    rows = [each.row for each in (held, cancelled, used)]
    for row in rows:
        row.refresh_from_db()

    with budget(2):
        told = dict(tell_occurrences(rows, at=used.row.issued_at + 2 * DAY))

    assert [[each.state for each in told[row]] for row in rows] == [
        ["skipped"],
        ["cancelled"],
        ["settled"],
    ]
    assert told[rows[2]][0].redemption == answer.redemption


@pytest.mark.django_db(transaction=True)
def test_a_released_slot_is_told_as_released() -> None:
    world = mandates.savings()
    issued = mandates.issue(world)
    answer = mandates.redeem(world, issued)
    release_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1, "no money"))

    ((_, told),) = tell_occurrences([issued.row], at=issued.row.issued_at + HOUR)

    assert [each.state.value for each in told] == [RedemptionStatus.RELEASED.value]
