"""Counters of volume limits, where there is no Redis, and of failures, always.

Each change is one statement that the database arbitrates; nothing is read first and written after.
"""

from dataclasses import dataclass

from django.db import connection, models

ADD = """
    INSERT INTO {table} (key, value, expires_at) VALUES (%s, %s, %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
    WHERE {table}.expires_at <= %s
"""
ADD_TO = """
    UPDATE {table} SET value = value + %s WHERE key = %s AND expires_at > %s RETURNING value
"""

TAKE = """
    INSERT INTO {table} (key, value, expires_at) VALUES (%(key)s, 1, %(expires_at)s)
    ON CONFLICT (key) DO UPDATE SET
        value = CASE WHEN {table}.expires_at <= %(now)s THEN 1 ELSE {table}.value + 1 END,
        expires_at = CASE WHEN {table}.expires_at <= %(now)s
            THEN excluded.expires_at ELSE {table}.expires_at END
    WHERE {table}.expires_at <= %(now)s OR {table}.value < %(most)s
    RETURNING expires_at
"""


@dataclass(frozen=True, slots=True)
class RateUsage:
    """What one request used of one limit.

    window and reset: seconds; count: 0 if nothing; took: seconds that counting took.
    """

    policy: str
    limit: int
    window: int
    count: int = 0
    reset: int = 0
    took: float = 0.0

    @property
    def left(self) -> int:
        """Tries that are left in this window."""
        return max(0, self.limit - self.count)

    @property
    def is_over(self) -> bool:
        """Say whether this try was one too many."""
        return self.count > self.limit


class RateCounterQuerySet(models.QuerySet["RateCounter"]):
    def start(self, key: str, value: int, *, expires_at: int, now: int) -> bool:
        """Start a counter; False if one of this key is running."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql(ADD), [key, value, expires_at, now])
            return bool(cursor.rowcount == 1)

    def add_to(self, key: str, delta: int, *, now: int) -> int | None:
        """Add to a running counter and return its value; None if there is none."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql(ADD_TO), [delta, key, now])
            row = cursor.fetchone()
        return int(row[0]) if row else None

    def take(self, key: str, *, most: int, expires_at: int, now: int) -> int | None:
        """Start a counter or add one, never above `most`; None if it is there already.

        Returns when the counter ends, which names this run of it.
        """
        values: dict[str, str | int] = {
            "key": key,
            "most": most,
            "expires_at": expires_at,
            "now": now,
        }
        with connection.cursor() as cursor:
            cursor.execute(self._sql(TAKE), values)
            row = cursor.fetchone()
        return int(row[0]) if row else None

    def give_back(self, key: str, *, expires_at: int) -> None:
        """Take one away from the counter that `take` has added to, if it is still the same run."""
        same = self.filter(key=key, expires_at=expires_at, value__gt=0)
        same.update(value=models.F("value") - 1)

    def running(self, now: int) -> "RateCounterQuerySet":
        """Keep counters whose time has not run out."""
        return self.filter(expires_at__gt=now)

    def outdated(self, now: int) -> "RateCounterQuerySet":
        """Keep counters whose time has run out."""
        return self.filter(expires_at__lte=now)

    def _sql(self, statement: str) -> str:
        return statement.format(table=self.model._meta.db_table)


class RateCounter(models.Model):
    """One counter.  expires_at: seconds since the epoch."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.BigIntegerField()
    expires_at = models.BigIntegerField()

    objects = RateCounterQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="rate_counter_expires_at")]

    def __str__(self) -> str:
        return self.key
