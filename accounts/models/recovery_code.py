"""Recovery codes: ten look-up secrets (NIST SP 800-63B section 3.1.2), each good once.

A code has 80 random bits and is kept as an HMAC under the server's key, which no row holds.
"""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.crypto import current_key_name


class RecoveryCodeQuerySet(models.QuerySet["RecoveryCode"]):
    def unused(self) -> "RecoveryCodeQuerySet":
        """Keep codes that still open something."""
        return self.filter(used_at=None)

    def under_older_keys(self) -> "RecoveryCodeQuerySet":
        """Keep codes that stop opening when the keys that are not the first one are removed."""
        return self.unused().exclude(key_name=current_key_name())

    def spend(self, *, user_id: uuid.UUID, digests: list[str], now: datetime) -> bool:
        """Use a code up, in one statement that the database arbitrates."""
        own = self.unused().filter(user_id=user_id, digest__in=digests)
        return own.update(used_at=now) == 1


class RecoveryCode(models.Model):
    """One code."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest = models.CharField(max_length=64, editable=False)
    # The key that the digest was made under: nobody can make it anew under another.
    key_name = models.CharField(max_length=8, default=current_key_name, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RecoveryCodeQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once"),
        ]

    def __str__(self) -> str:
        return "used" if self.used_at else "unused"
