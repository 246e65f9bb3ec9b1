"""What came about in a run: a machine that does nothing proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest

TOLD: Counter[str] = Counter()
LEAST = 10  # in 20,000 steps, of what is rare
COLUMNS = 3
# In 2,000 steps, of what is common.
COMMON = {
    "redeem: new": 80,
    "redeem: again": 15,
    "redeem: OutsideValidity": 15,
    "redeem: SlotAlreadyRedeemed": 15,
    "retry: proceed": 15,
    "batch: line": 60,
    "settle: done": 20,
    "release: done": 12,
    "issue: done": 40,
    "fault: redeem, write lost": 15,
    "fault: redeem, answer lost": 10,
}

# Each verdict of each service that the machine asks; each rule comes about besides.
VERDICTS = {
    "redeem": [
        "new",
        "new, named",
        "again",
        "again, named",
        "OperationTokenNotValid",
        "OperationMismatch",
        "OperationRevoked",
        "OperationHeld",
        "ExecutorStopped",
        "OutsideValidity",
        "UnresolvedConstraint",
        "LimitExceeded max_individual",
        "LimitExceeded occurrences",
        "LimitExceeded total",
        "LimitExceeded period",
        "LimitExceeded count",
        "SlotAlreadyRedeemed",
        "IdempotencyMismatch",
        "LedgerBroken",
        "LedgerBehind",
    ],
    "retry": [
        "proceed",
        "OperationRevoked",
        "OperationHeld",
        "ExecutorStopped",
        "OutsideValidity",
        "a later attempt",
        "in_doubt",
        "settled",
        "released",
    ],
    "batch": ["line"],
    "settle": ["done", "LeaseLost", "IdempotencyMismatch"],
    "release": ["done", "LeaseLost", "IdempotencyMismatch", "ReleaseLimitReached"],
    "confirm": ["done", "ConsentMismatch", "ConsentNotValid", "InvalidOtp"],
    "issue": [
        "done",
        "repeated",
        "ConsentRequired",
        "ConsentMismatch",
        "ConsentNotValid",
        "IdempotencyMismatch",
        "SubjectTokenSpent",
    ],
    "hold": ["done"],
    "resume": ["done", "HoldNotAllowed", "AccountInactive"],
    "cancel": ["done"],
    "lower": ["done", "LimitNotLower"],
    "disturb": ["OperationFinal"],
    "forged bytes": ["OperationTokenNotValid"],
    "another executor": ["OperationTokenNotValid", "RedemptionNotFound"],
    "wrong door": ["OperationTokenNotValid", "SubjectTokenNotValid", "TokenNotValid"],
    "introspection": ["active", "inactive"],
    "check": ["would run", "would not"],
    "offline": [
        "fine, consumption unknown",
        "OperationMismatch",
        "OperationRevoked",
        "OperationTokenNotValid",
        "OutsideValidity",
    ],
    "occurrence": [
        "cancelled",
        "expired",
        "in_doubt",
        "missed",
        "released",
        "reserved",
        "settled",
        "skipped",
        "waiting",
    ],
}
FAULTS = ["redeem", "retry", "batch", "settle", "release", "issue", "confirm"]
FAULTS += ["hold", "resume", "cancel", "lower"]


def table() -> str:
    """Write how often each thing came about, in columns, by name."""
    cells = [f"{count:6} {name}" for name, count in sorted(TOLD.items())]
    rows = -(-len(cells) // COLUMNS)
    columns = [cells[start : start + rows] for start in range(0, len(cells), rows)]
    lines = zip_longest(*columns, fillvalue="")
    return "\n".join("".join(cell.ljust(48) for cell in line).rstrip() for line in lines)


def too_rare(steps: int, rules: Iterable[str]) -> dict[str, int]:
    """Return what did not come about often enough for so many steps."""
    verdicts = [f"{what}: {each}" for what, found in VERDICTS.items() for each in found]
    faults = [f"fault: {what}, {lost} lost" for what in FAULTS for lost in ("write", "answer")]
    rare = dict.fromkeys([*verdicts, *faults, *(f"rule: {rule}" for rule in rules)], LEAST)
    least = {what: count * (steps // 20_000) for what, count in rare.items()}
    least |= {what: count * steps // 2000 for what, count in COMMON.items()}
    return {what: TOLD[what] for what, count in least.items() if TOLD[what] < count}
