"""What became of what was due, in the model: one state each (I7)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.mandate_machine.model import Mandate
from tests.unit.verifier import slow_model

GRACE = timedelta(hours=1)  # after a window, before anybody says that its run is missing
SECOND = timedelta(seconds=1)


def tell(mandate: Mandate, at: datetime) -> dict[str, str]:
    """Tell the state of each occurrence that is due at `at`.

    Without a schedule that is the first slot, and each other one that was taken.
    """
    due = [slot for slot in mandate.slots if slot.first <= at]
    if "schedule" not in mandate.constraints:
        due = [slot for slot in due if slot is mandate.slots[0] or slot.name in mandate.taken]
    return {slot.name: _state(mandate, slot, at) for slot in due}


def closes(mandate: Mandate) -> dict[str, datetime]:
    """Tell when each window is over, taken or not."""
    return {
        slot.name: min(_whole_window(mandate, slot), mandate.valid_to) for slot in mandate.slots
    }


def _whole_window(mandate: Mandate, slot: slow_model.SlowSlot) -> datetime:
    """Return when the window ends, or would if the mandate went on."""
    window = mandate.constraints.get("due_window")
    return slot.first + timedelta(hours=int(window[2:-1])) if window else slot.last + SECOND


def _state(mandate: Mandate, slot: slow_model.SlowSlot, at: datetime) -> str:
    if slot.name in mandate.taken:
        return mandate.taken[slot.name].status_at(at)
    if mandate.cancelled_at is not None and mandate.cancelled_at <= min(slot.last, at):
        return "cancelled"
    whole = _whole_window(mandate, slot)
    if at <= min(whole, mandate.valid_to) + GRACE:
        return "waiting"
    unable = (unable for since, unable in reversed(mandate.unable) if since <= slot.last)
    if next(unable, False):
        return "skipped"
    return "expired" if whole > mandate.valid_to else "missed"
