"""Documents of a provider that are fetched seldom."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from accounts.errors import FederationRefused

T = TypeVar("T")
COOL_DOWN = 10.0  # seconds between two fetches, whatever is asked for


class Kept(Generic[T]):
    """One document and when to fetch it again; safe to share between threads.

    ttl: seconds it is believed; for no longer because its source is away.
    """

    def __init__(
        self,
        fetch: Callable[[], T],
        *,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fetched_at = self._tried_at = float("-inf")

    def get(self, is_enough: Callable[[T], bool] = lambda _: True) -> T:
        """Return the document; one that is not enough is fetched again, if it may be.

        Raises FederationRefused while there is none to believe.
        """
        with self._lock:
            value = self._believed()
            if (value is None or not is_enough(value)) and self._is_cool():
                value = self._renewed()
        if value is None:
            raise FederationRefused("the provider was away a moment ago")
        return value

    def _believed(self) -> T | None:
        return self._value if self._clock() - self._fetched_at < self._ttl else None

    def _is_cool(self) -> bool:
        return self._clock() - self._tried_at >= COOL_DOWN

    def _renewed(self) -> T:
        try:
            self._value = self._fetch()
        finally:
            # From when it ended: whoever waited for a source that hangs does not wait again.
            self._tried_at = self._clock()
        self._fetched_at = self._tried_at
        return self._value
