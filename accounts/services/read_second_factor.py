"""Tell how a person's second factor stands; never what it is."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import RecoveryCode, TotpDevice, User


@dataclass(frozen=True, slots=True)
class RecoveryCodeCount:
    """How many codes still open, of how many that were handed out last."""

    left: int
    total: int


@dataclass(frozen=True, slots=True)
class TotpState:
    """Whether an app is on, since when, and whether one is being set up."""

    enabled: bool
    enabled_at: datetime | None
    being_set_up: bool


def read_totp(*, user: User, now: datetime | None = None) -> TotpState:
    """Look at a person's devices, in one statement."""
    pending = TotpDevice.objects.being_set_up(now or timezone.now())
    devices = list(
        (TotpDevice.objects.in_use() | pending).filter(user=user).only("confirmed", "confirmed_at")
    )
    on = next((device for device in devices if device.confirmed), None)
    return TotpState(
        enabled=on is not None,
        enabled_at=on.confirmed_at if on else None,
        being_set_up=any(not device.confirmed for device in devices),
    )


def count_recovery_codes(*, user: User) -> RecoveryCodeCount:
    """Count a person's codes, in one statement."""
    used = list(RecoveryCode.objects.filter(user=user).values_list("used_at", flat=True))
    return RecoveryCodeCount(left=used.count(None), total=len(used))
