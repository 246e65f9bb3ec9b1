"""When something fetched may be fetched again: seldom, and not at once after a failure.

It does no I/O, so that threads and event loops share one rule.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from batchtokens_verifier.errors import AuthorityUnavailable, TokenNotValid

# With nothing at all nothing can be verified: ask again sooner than after the cool-down.
FIRST_RETRY_SECONDS = 1.0

T = TypeVar("T")


class Cooldown(Generic[T]):
    """The last good value, and when it came. clock: seconds, monotonic.

    cool_down: seconds between two attempts to fetch, whoever asks.
    """

    def __init__(self, *, cool_down: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._cool_down = cool_down
        self._clock = clock
        self._fetched_at = self._tried_at = float("-inf")
        self.value: T | None = None
        self.failed = False  # whether the last attempt brought nothing

    def age(self) -> float:
        """Return the seconds since the value came."""
        return self._clock() - self._fetched_at

    def may_try(self, *, soon: bool = False) -> bool:
        """Tell whether the pause since the last attempt is over, and if so begin a new one.

        soon: the value at hand is of no use.
        """
        pause = FIRST_RETRY_SECONDS if soon or self.value is None else self._cool_down
        if self._clock() - self._tried_at < pause:
            return False
        self._tried_at = self._clock()
        self.failed = True
        return True

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Surround a fetch that may fail; what is at hand then keeps serving."""
        try:
            yield
        except (AuthorityUnavailable, TokenNotValid):
            pass
        finally:
            # From its end: else each of those who waited would try a slow source again.
            self._tried_at = self._clock()

    def keep(self, value: T) -> None:
        """Take what the attempt brought."""
        self.value = value
        self.failed = False
        self._fetched_at = self._clock()
