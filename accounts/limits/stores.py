"""Where volume limits are counted: in Redis while it answers, else in the database.

Redis may only ever cost a moment: a store that is refused, hung or slow is left alone for some
seconds.  What it forgets are volume counters; failures and locks are rows of the database.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

DATABASE, REDIS = "counters", "redis"  # names in CACHES
AWAY_FOR = 5.0  # seconds
# Seconds of one request: one more answer after them, as late as it may be, and it is 250 ms.
PATIENCE = 0.13

# Starts the counter or adds to it, and sees to its end, in one round trip.
_COUNT = """
local value = redis.call('incrby', KEYS[1], ARGV[1])
if value == tonumber(ARGV[1]) then redis.call('expire', KEYS[1], ARGV[2]) end
return value
"""

logger = logging.getLogger(__name__)
_store: ContextVar[str] = ContextVar("store", default=DATABASE)


class RedisCounters(RedisCache):
    """Counters in Redis, as django-ratelimit asks for them: `add`, and `incr` where that is False.

    One atomic command answers both.  Caches belong to a thread, so what is kept between the two is
    of the same try.
    """

    _last: tuple[str, int] = ("", 0)

    def add(
        self, key: str, value: int, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Start a counter, or count in the running one and return False."""
        name = self.make_and_validate_key(key, version)
        client = self._cache.get_client(name, write=True)
        count: Any = client.eval(_COUNT, 1, name, str(value), str(timeout))
        self._last = (name, int(count))
        return int(count) == value

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Return what `add` has counted.

        Raises ValueError for another counter.
        """
        name, count = self._last
        if name != self.make_and_validate_key(key, version):
            raise ValueError(f"Key {key} was not counted")
        return count

    def ping(self) -> None:
        """Ask for a sign of life.

        Raises RedisError.
        """
        self._cache.get_client().ping()


class LimitCache(BaseCache):
    """The cache that django-ratelimit is told of: whichever store `counting_in` names."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(
        self, key: str, value: int, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Start a counter; False if it is running."""
        return bool(caches[_store.get()].add(key, value, timeout, version))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a running counter."""
        return int(caches[_store.get()].incr(key, delta, version))


@contextmanager
def counting_in(store: str) -> Iterator[None]:
    """Count there while the block lasts."""
    token = _store.set(store)
    try:
        yield
    finally:
        _store.reset(token)


class Away(Exception):
    """Redis does not answer as it should."""


class Redis:
    """What this process knows of Redis: whether it is worth asking."""

    def __init__(self) -> None:
        self._ask_again_at = 0.0
        self._missed = False

    @property
    def is_used(self) -> bool:
        """Whether there is one at all."""
        return REDIS in settings.CACHES

    @property
    def may_be_asked(self) -> bool:
        """Whether it is there, as far as is known."""
        return self.is_used and time.monotonic() >= self._ask_again_at

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Ask it in the block; no answer makes it be left alone for a while.

        Raises Away.
        """
        try:
            yield
        except (RedisError, OSError) as error:
            self._leave_alone(type(error).__name__)
            raise Away from error
        if self._missed:
            self._missed = False
            logger.info("Redis answers again")

    def state(self) -> str:
        """Return "ok", also where there is none to ask, or what its being away means."""
        if not self.is_used:
            return "ok"
        try:
            cast(RedisCounters, caches[REDIS]).ping()
        except (RedisError, OSError):
            return "away: the database counts, with stricter limits"
        return "ok"

    def forget(self) -> None:
        """Ask it again at once."""
        self.__init__()  # type: ignore[misc] # the state of a new one

    def _leave_alone(self, cause: str) -> None:
        """Remember it, and tell the log when it begins."""
        self._ask_again_at = time.monotonic() + AWAY_FOR
        if not self._missed:
            self._missed = True
            logger.warning("Redis is away, the database counts with stricter limits: %s", cause)


redis = Redis()
