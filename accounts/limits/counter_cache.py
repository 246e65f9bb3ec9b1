"""Counters of volume limits in the database: exact however many processes count at once."""

import random
import time
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from accounts.models import RateCounter

FOR_EVER = 2**62  # seconds since the epoch
SWEEP_EVERY = 200  # counters started, on average


class CounterCache(BaseCache):
    """A cache of whole numbers in a migrated table; exact however many count at once."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(
        self, key: str, value: int, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Start a counter; False if it is running."""
        now = int(time.time())
        if random.randrange(SWEEP_EVERY) == 0:  # noqa: S311 - spreads work, guards nothing
            RateCounter.objects.outdated(now).delete()
        name = self.make_and_validate_key(key, version)
        expires_at = self._expiry(timeout)
        return RateCounter.objects.start(name, value, expires_at=expires_at, now=now)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a running counter.

        Raises ValueError if there is none, as Django's caches do.
        """
        name = self.make_and_validate_key(key, version)
        value = RateCounter.objects.add_to(name, delta, now=int(time.time()))
        if value is None:
            raise ValueError(f"Key {key} not found")
        return value

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return a running counter's value."""
        name = self.make_and_validate_key(key, version)
        row = RateCounter.objects.running(int(time.time())).filter(key=name).first()
        return row.value if row else default

    def set(
        self, key: str, value: int, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """Start a counter, or set a running one."""
        name = self.make_and_validate_key(key, version)
        RateCounter.objects.update_or_create(
            key=name, defaults={"value": value, "expires_at": self._expiry(timeout)}
        )

    def delete(self, key: str, version: int | None = None) -> bool:
        """End a counter; False if there was none."""
        name = self.make_and_validate_key(key, version)
        return RateCounter.objects.filter(key=name).delete()[0] == 1

    def clear(self) -> None:
        """End all counters."""
        RateCounter.objects.all().delete()

    def _expiry(self, timeout: Any) -> int:
        """Return when a counter ends; None is for ever, and 0 or less is at once."""
        at = self.get_backend_timeout(timeout)
        return FOR_EVER if at is None else int(at)
