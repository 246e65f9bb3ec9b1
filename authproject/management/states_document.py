"""The lives of mandates and redemptions as diagrams, drawn from the tables that services ask."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import TextChoices

from batchtokens.models import STATUS_TRANSITIONS, TRANSITIONS, RedemptionStatus, Status


class Life(NamedTuple):
    """One kind of row: where it begins, what follows what, and what leads to each state."""

    title: str
    begins: TextChoices
    transitions: Mapping[Any, frozenset[Any]]
    by_time: Mapping[Any, frozenset[Any]]
    causes: Mapping[Any, str]
    words: str


OPERATION = Life(
    title="Operation token",
    begins=Status.ACTIVE,
    transitions=STATUS_TRANSITIONS,
    by_time={},
    causes={
        Status.ACTIVE: "the last hold is lifted",
        Status.HELD: "hold",
        Status.COMPLETED: "the last run is settled",
        Status.EXPIRED: "valid_to is reached",
        Status.CANCELLED: "cancel",
    },
    words=(
        "`held` while at least one kind of holder (user, client, staff, system) holds it."
        " `completed` and `expired` are not stored: the count of settled runs and the database's"
        " clock say so. What can be cancelled can also be held and resumed; nothing else can."
    ),
)
REDEMPTION = Life(
    title="Redemption",
    begins=RedemptionStatus.RESERVED,
    transitions=TRANSITIONS,
    by_time={RedemptionStatus.RESERVED: frozenset({RedemptionStatus.IN_DOUBT})},
    causes={
        RedemptionStatus.RESERVED: "redeemed again",
        RedemptionStatus.IN_DOUBT: "the lease ends",
        RedemptionStatus.SETTLED: "settle",
        RedemptionStatus.RELEASED: "release",
    },
    words=(
        "`in_doubt` is not stored: it is a reserved row whose lease has ended. A settled redemption"
        " never changes; a released slot can be redeemed again while its window is open."
    ),
)
LIVES = (OPERATION, REDEMPTION)
INTRO = (
    "Drawn from `STATUS_TRANSITIONS` and `TRANSITIONS` in `batchtokens/models`, which the services"
    " ask before they write."
)


def states_document(note: str) -> str:
    """Return both tables as diagrams."""
    lines = ["# States", "", note, "", INTRO]
    for life in LIVES:
        lines += ["", f"## {life.title}", "", life.words, "", *_diagram(life)]
    return "\n".join([*lines, ""])


def _diagram(life: Life) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {life.begins.value}"
    for state, after in life.transitions.items():
        following = after | life.by_time.get(state, frozenset())
        for other in sorted(following, key=lambda each: each.value):
            yield f"    {state.value} --> {other.value}: {life.causes[other]}"
        if not following:
            yield f"    {state.value} --> [*]"
    yield "```"
