"""What all mandates of a world share: who is switched off, and what their executor may take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

CAPPED = {"day": ("max_count_day", "max_minor_day"), "minute": ("max_count_minute", "")}


@dataclass
class Around:
    """off: of "user", "trigger", "executor" and "type". caps: of the executor, by name.

    counts, sums: by UTC day or minute, what was reserved while it was capped.
    """

    off: set[str] = field(default_factory=set)
    stopped: bool = False
    caps: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)

    def count(self, at: datetime, minor: int) -> bool:
        """Count one more; one too many stops the executor instead."""
        known = [p for p, names in CAPPED.items() if self.caps.keys() & set(names)]
        starts = {period: f"{at:%F}" if period == "day" else f"{at:%F %R}" for period in known}
        summed = minor if "max_minor_day" in self.caps else 0
        for period, start in starts.items():
            most, most_minor = (self.caps.get(name) for name in CAPPED[period])
            passes = most is not None and self.counts[start] + 1 > most
            if passes or (most_minor is not None and self.sums[start] + summed > most_minor):
                self.stopped = True
                return False
        for start in starts.values():
            self.counts[start] += 1
            self.sums[start] += summed
        return True
