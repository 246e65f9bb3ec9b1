"""The worker's part that sends e-mails: one after the other, until it is told to stop."""

import logging
import threading

from django.db import Error as DatabaseFault
from django.db import connection

from accounts.services.send_emails import send_next_email

LONGEST_PAUSE = 30.0  # seconds between two tries while the database is away
MOST_DOUBLINGS = 6  # of the poll

logger = logging.getLogger(__name__)


class Mailer:
    """Looks into the outbox each `poll` seconds, with `once` until nothing is due."""

    def __init__(self, *, poll: float, once: bool = False) -> None:
        self._poll, self._once = poll, once
        self._stopping = threading.Event()
        self._faults = 0

    def stop(self) -> None:
        """Send nothing more; `run` returns when the message in flight is sent."""
        self._stopping.set()

    def run(self) -> int:
        """Work until stopped; return how many messages were dealt with.

        Raises the database's fault with `once`; else the mailer waits until the database is back.
        """
        count = 0
        try:
            while not self._stopping.is_set():
                if self._send():
                    count += 1
                elif self._once and not self._faults:
                    break
                else:
                    doublings = min(self._faults, MOST_DOUBLINGS)
                    self._stopping.wait(min(self._poll * 2**doublings, LONGEST_PAUSE))
        finally:
            connection.close()  # a thread has its own
        return count

    def _send(self) -> bool:
        try:
            sent = send_next_email()
        except Exception as fault:  # a thread that ended would never come back
            connection.close()  # the next try opens a new one
            if self._once:
                raise
            self._faults += 1
            told = str(fault).strip().partition("\n")[0]
            known = isinstance(fault, DatabaseFault)
            logger.warning("no e-mail can be sent: %s", told if known else type(fault).__name__)
            return False
        self._faults = 0
        return sent
