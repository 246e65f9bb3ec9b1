"""How often, and after which pauses, a call without an answer is made again.

Only the same call with the same Idempotency-Key: it gets the answer that was lost.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchtokens_verifier.errors import AuthorityUnavailable, LedgerBehind


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `attempts` calls; the pauses double from `first` to at most `longest` seconds.

    Each pause is drawn between its half and its whole, so that many executors do not come back
    together after an outage.
    """

    attempts: int = 3
    first: float = 0.2
    longest: float = 2.0
    draw: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        """Refuse what would never call, or never end. Raises ValueError."""
        if not (1 <= self.attempts <= 10 and 0 <= self.first <= self.longest <= 60):
            raise ValueError("1 to 10 attempts, with pauses of at most a minute")

    def pauses(self) -> Iterator[float]:
        """Give the pause in seconds before each further attempt."""
        for attempt in range(self.attempts - 1):
            pause = min(self.first * 2**attempt, self.longest)
            yield pause * (0.5 + self.draw() / 2)


NO_RETRIES = Retries(attempts=1)


def pause_after(error: AuthorityUnavailable, pauses: Iterator[float]) -> float:
    """Return how many seconds to wait before the same call is made again.

    Raises `error` where no attempt is left, or operators must act first.
    """
    pause = next(pauses, None)
    if pause is None or isinstance(error, LedgerBehind):
        raise error
    return pause
