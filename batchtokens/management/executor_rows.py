"""An executor's switch, caps and use, as its command prints them."""

from typing import Any

from batchtokens.management.switches import in_words
from batchtokens.services.redemption.read_executor import ExecutorState, Used
from batchtokens.services.redemption.set_caps import CAPS

USES = ("used_count_minute", "used_count_day", "used_minor_minute", "used_minor_day")


def row_of(state: ExecutorState) -> dict[str, Any]:
    """Return what an operator may know of an executor; uses are empty where no cap counts them."""
    control = state.control
    return {
        "id": state.executor.client_id,
        "is_running": control.stopped_at is None,
        "stopped_at": control.stopped_at,
        "stopped_by": control.stopped_by,
        "reason": control.reason,
        **{name: getattr(control, name) for name in CAPS},
        "used_count_minute": state.minute.count,
        "used_count_day": state.day.count,
        "used_minor_minute": state.minute.minor,
        "used_minor_day": state.day.minor,
        "types": [{"name": kind.name, "is_active": kind.is_active} for kind in state.types],
    }


def brief_row_of(state: ExecutorState) -> dict[str, Any]:
    """Return the same in the columns of a terminal."""
    control = state.control
    return {
        "id": state.executor.client_id,
        "switch": f"stopped by {control.stopped_by}" if control.stopped_at else "running",
        "this_minute": _of(state.minute, control.max_count_minute, control.max_minor_minute),
        "today": _of(state.day, control.max_count_day, control.max_minor_day),
        "currency": control.currency,
        "types": in_words([{"name": k.name, "is_active": k.is_active} for k in state.types]),
        "reason": control.reason,
    }


def _of(used: Used, max_count: int | None, max_minor: int | None) -> str:
    """Say how much was used of what; sums in minor units."""
    pairs = ((used.count, max_count, "runs"), (used.minor, max_minor, "minor"))
    return ", ".join(f"{each} of {most} {unit}" for each, most, unit in pairs if most is not None)
