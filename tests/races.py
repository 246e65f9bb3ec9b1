"""Real threads that start at the same instant, each with its own connection to the database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def at_once(*calls: Callable[[], T], patient: bool = True) -> list[T]:
    """Call all at once and return what they returned, in their order.

    The test must be a `django_db(transaction=True)` one: threads see only what is committed.
    patient: wait for each other's locks as long as it takes, which on a busy machine is longer
    than whoever asks is kept waiting.
    """
    barrier = Barrier(len(calls))

    def wait_and_call(call: Callable[[], T]) -> T:
        connection.ensure_connection()
        if patient and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '60s'")
        barrier.wait(timeout=60)
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and_call, calls))
