"""Argon2id with OWASP's parameters, a bounded number of hashes at a time.

Each hash takes 19 MiB: without the bound, a login flood takes gigabytes.
"""

import os
import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

_AT_ONCE = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))


class BoundedArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id, 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet)."""

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Hash once a place is free."""
        with _AT_ONCE:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Compare once a place is free."""
        with _AT_ONCE:
            return super().verify(password, encoded)
