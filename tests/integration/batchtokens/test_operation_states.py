"""The life of an operation token: the table says what may follow, and the services ask it."""

from datetime import datetime, timedelta

import pytest

from batchtokens.errors import OperationFinal
from batchtokens.models import STATUS_TRANSITIONS, TRANSITIONS, HoldKind, OperationToken, Status
from batchtokens.models.clock import database_now
from batchtokens.services.mandates.hold import can_change, check_changeable, hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)
ENDED = [Status.COMPLETED, Status.EXPIRED, Status.CANCELLED]


def in_state(status: Status, now: datetime) -> OperationToken:
    """Return an unsaved row that is in this state now."""
    return OperationToken(
        holds=["user"] if status == Status.HELD else [],
        cancelled_at=now if status == Status.CANCELLED else None,
        settled_count=1 if status == Status.COMPLETED else 0,
        max_occurrences=1,
        valid_to=now if status == Status.EXPIRED else now + timedelta(seconds=1),
    )


def test_each_state_is_in_its_table() -> None:
    assert set(STATUS_TRANSITIONS) == set(Status)
    assert set().union(*STATUS_TRANSITIONS.values()) <= set(Status)
    assert set().union(*TRANSITIONS.values()) <= set(TRANSITIONS)


@pytest.mark.parametrize("status", Status)
def test_what_has_ended_cannot_be_changed(status: Status) -> None:
    now = database_now()
    row = in_state(status, now)
    assert row.status_at(now) == status
    assert can_change(row, now) is (status not in ENDED)
    if status in ENDED:
        with pytest.raises(OperationFinal):
            check_changeable(row, now)


def test_the_services_follow_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    row = mandates.issue(mandates.savings()).row
    monkeypatch.setitem(STATUS_TRANSITIONS, Status.ACTIVE, frozenset({Status.EXPIRED}))
    with pytest.raises(OperationFinal):
        hold_operation(operation_id=row.pk, by=HoldKind.STAFF)
    with pytest.raises(OperationFinal):
        cancel_operation(operation_id=row.pk, by=HoldKind.STAFF)
