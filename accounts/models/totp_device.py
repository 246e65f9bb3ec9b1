"""Authenticator apps (RFC 6238), on django-otp's device framework.

Spent only through `django_otp.verify_token`, which holds the row's lock: each time step opens
once, whoever asks and wherever.
"""

import time
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django_otp.oath import TOTP

from accounts.crypto import open_sealed, seal

if TYPE_CHECKING:
    from django.db.models import Model as Device  # django-otp ships no types
else:
    from django_otp.models import Device

# RFC 4226 section 4, R6: 160 bits; RFC 6238 section 5.2: 30 s, and one step of delay each way.
KEY_BYTES = 20
STEP = 30
DIGITS = 6
TOLERANCE = 1
# Whose clock is put right is understood again: with more, the step of now would be out of reach.
MOST_DRIFT = TOLERANCE
NEVER = -1
# Beginning wants a recent sign-in and showing a code does not: so the one soon follows the other.
SETUP_LIFETIME = timedelta(minutes=30)


class TotpDeviceQuerySet(models.QuerySet["TotpDevice"]):
    def in_use(self) -> "TotpDeviceQuerySet":
        """Keep those that sign-ins ask for."""
        return self.filter(confirmed=True)

    def is_on_for(self, user_id: uuid.UUID) -> bool:
        """Say whether a person's sign-ins ask for a code."""
        return self.in_use().filter(user_id=user_id).exists()

    def unconfirmed(self) -> "TotpDeviceQuerySet":
        """Keep those of which no code was shown yet."""
        return self.filter(confirmed=False)

    def being_set_up(self, now: datetime) -> "TotpDeviceQuerySet":
        """Keep those of which a code may be shown still."""
        return self.unconfirmed().filter(created_at__gt=now - SETUP_LIFETIME)


class TotpDevice(Device):
    """One app that makes codes; unconfirmed until a code of its was shown."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="totp_devices"
    )
    id = models.BigAutoField(primary_key=True)  # django-otp finds devices by whole numbers
    name = models.CharField(max_length=64, blank=True)
    confirmed = models.BooleanField(default=False)
    key_sealed = models.BinaryField(editable=False)
    last_step = models.BigIntegerField(default=NEVER, editable=False)
    drift = models.SmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)

    persistent_id: str  # Device's, by which django-otp finds the row
    objects = TotpDeviceQuerySet.as_manager()

    class Meta:
        verbose_name = "TOTP device"
        constraints: ClassVar = [
            # One that opens the account, and one that is being set up beside it.
            models.UniqueConstraint(fields=["user", "confirmed"], name="totp_device_one_a_user"),
        ]

    def set_key(self, key: bytes) -> None:
        """Seal the shared secret; it opens for this person's row alone."""
        self.key_sealed = seal(key, context=self.seal_context())

    def key(self) -> bytes:
        """Open the shared secret.

        Raises SealBroken.
        """
        return open_sealed(self.key_sealed, context=self.seal_context())

    def verify_token(self, token: str) -> bool:
        """Spend a code; the caller holds the row's lock (`django_otp.verify_token`)."""
        if len(token) != DIGITS or not (token.isascii() and token.isdigit()):
            return False
        totp = TOTP(self.key(), step=STEP, digits=DIGITS, drift=self.drift)
        totp.time = time.time()
        if not totp.verify(int(token), tolerance=TOLERANCE, min_t=self.last_step + 1):
            return False
        self.last_step = totp.t()
        self.drift = max(-MOST_DRIFT, min(totp.drift, MOST_DRIFT))
        self.save(update_fields=["last_step", "drift"])
        return True

    def seal_context(self) -> str:
        """Name whose device the key is sealed for: in another row it does not open."""
        return f"totp:{self.user_id}"
