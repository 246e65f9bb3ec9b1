"""What came about in a run: a machine that does nothing proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest

TOLD: Counter[str] = Counter()
COLUMNS = 3
# How often in 20,000 steps, at least; in 2,000 a tenth of it: far below what was seen.
LEAST = 24  # each rule, each verdict: dozens of every refusal
SELDOM = 10  # each party that is switched off while all doors are looked at
BROKEN_OFF = 9  # each service, each way: too seldom for a tenth of a soak to be sure of each
RARE = 3  # each column that somebody edits
COMMON = {
    "redeem: new": 800,
    "redeem: new, named": 150,
    "redeem: again": 150,
    "redeem: again, named": 150,
    "redeem: OutsideValidity": 300,
    "redeem: SlotAlreadyRedeemed": 200,
    "redeem: OperationHeld": 200,
    "redeem: OperationMismatch": 120,
    "redeem: OperationTokenNotValid": 80,
    "retry: proceed": 150,
    "retry: OperationHeld": 200,
    "retry: OperationRevoked": 100,
    "retry: a later attempt": 150,
    "retry: in_doubt": 200,
    "batch: line": 500,
    "settle: done": 200,
    "release: done": 200,
    "confirm: done": 300,
    "issue: done": 600,
    "hold: done": 80,
    "resume: done": 100,
    "cancel: done": 80,
    "lower: done": 120,
    "report: missed": 150,
    "edited: found": 60,
    "introspection: active": 250,
    "introspection: inactive": 800,
    "check: would run": 120,
    "check: would not": 800,
    "offline: fine, consumption unknown": 1000,
    "offline: OperationMismatch": 800,
    "offline: OperationRevoked": 300,
    "offline: OperationTokenNotValid": 600,
    "offline: OutsideValidity": 1000,
    "fault: redeem, write lost": 200,
    "fault: redeem, answer lost": 100,
    "fault: issue, write lost": 150,
    "fault: issue, answer lost": 80,
    "fault: confirm, write lost": 100,
    "fault: settle, write lost": 50,
    "fault: release, write lost": 40,
    "rule: deliver": 1500,
    "rule: redeem": 400,
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
    "another door": ["LedgerBroken"],
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
    "issue again": ["SubjectTokenSpent"],
    "issue by another trigger": ["ConsentNotValid"],
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
        "OperationHeld",
        "OperationMismatch",
        "OperationRevoked",
        "OperationTokenNotValid",
        "OutsideValidity",
        "StatusUnavailable",
    ],
    "report": ["missed"],
    "edited": ["found"],
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
FAULTS += ["hold", "resume", "cancel", "lower", "report"]


def table() -> str:
    """Write how often each thing came about, in columns, by name."""
    cells = [f"{count:6} {name}" for name, count in sorted(TOLD.items())]
    rows = -(-len(cells) // COLUMNS)
    columns = [cells[start : start + rows] for start in range(0, len(cells), rows)]
    lines = zip_longest(*columns, fillvalue="")
    return "\n".join("".join(cell.ljust(48) for cell in line).rstrip() for line in lines)


def too_rare(steps: int, *, rules: Iterable[str], edits: Iterable[str]) -> dict[str, str]:
    """Return what did not come about often enough for so many steps, and how often it must."""
    verdicts = [f"{what}: {each}" for what, found in VERDICTS.items() for each in found]
    faults = [f"fault: {what}, {lost} lost" for what in FAULTS for lost in ("write", "answer")]
    off = [f"looked while off: {who}" for who in ("user", "trigger", "executor", "type")]
    least = dict.fromkeys([*verdicts, *(f"rule: {rule}" for rule in rules)], LEAST)
    least |= dict.fromkeys(faults, BROKEN_OFF) | dict.fromkeys(off, SELDOM)
    least |= dict.fromkeys(edits, RARE) | COMMON
    wanted = {what: count * steps // 20_000 for what, count in least.items()}
    return {
        what: f"{TOLD[what]} of {count}" for what, count in wanted.items() if TOLD[what] < count
    }
