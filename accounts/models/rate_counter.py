"""Counters of volume limits, where there is no Redis.

Each change is one statement that the database arbitrates; nothing is read first and written after.
"""

from django.db import connection, models

ADD = """
    INSERT INTO {table} (key, value, expires_at) VALUES (%s, %s, %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
    WHERE {table}.expires_at <= %s
"""
ADD_TO = """
    UPDATE {table} SET value = value + %s WHERE key = %s AND expires_at > %s RETURNING value
"""


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
