"""One fetch at a time of each thing: whoever comes meanwhile waits for it, or does without.

Nobody waits behind more than one fetch, and nobody who leaves takes the others' fetch along.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from batchtokens_verifier.transport import DEADLINE_SECONDS

Begin = Callable[[], bool]


class ThreadFlight:
    """The fetch that threads share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def join(self, *, begin: Begin, fetch: Callable[[], None], wait: bool) -> None:
        """Fetch where `begin` says so; while another thread does, wait for it where told to.

        No longer than a fetch may take: a source could hold its caller up for longer by headers
        that come drop by drop.
        """
        if not self._lock.acquire(timeout=DEADLINE_SECONDS if wait else 0):
            return
        try:
            if begin():
                fetch()
        finally:
            self._lock.release()


class TaskFlight:
    """The fetch that tasks share. It is a task of its own: the one that began it may be cancelled.

    Tasks of another event loop do not wait for it, as they could not.
    """

    def __init__(self) -> None:
        self._fetching: asyncio.Task[Any] | None = None

    async def join(self, *, begin: Begin, fetch: Callable[[], Awaitable[None]], wait: bool) -> None:
        """Do as `ThreadFlight.join` does, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        flying = self._fetching
        if flying is None or flying.done() or flying.get_loop() is not loop:
            if not begin():
                return
            flying = self._fetching = loop.create_task(_awaited(fetch))
        elif not wait:
            return
        await asyncio.shield(flying)


async def _awaited(fetch: Callable[[], Awaitable[None]]) -> None:
    await fetch()
