"""What bounds one executor: caps for each minute and day, a breaker, and the staff's switch."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from accounts.models import ServiceClient


class StoppedBy(models.TextChoices):
    BREAKER = "breaker", "a cap was reached"
    STAFF = "staff", "staff stopped it"


class ExecutorControl(models.Model):
    """Caps of one executor, where it has any, and whether it is stopped.

    A stopped executor reserves nothing; what it holds may still be settled and released. That is
    temporary and says nothing of a token: neither introspection nor a status list shows it.
    """

    executor = models.OneToOneField(
        ServiceClient, primary_key=True, on_delete=models.PROTECT, related_name="control"
    )
    max_count_minute = models.PositiveIntegerField(null=True, blank=True)
    max_count_day = models.PositiveIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, help_text="Of the sums.")
    max_minor_minute = models.PositiveBigIntegerField(null=True, blank=True)
    max_minor_day = models.PositiveBigIntegerField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=10, blank=True, choices=StoppedBy.choices)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(stopped_at=None, stopped_by="")
                | (Q(stopped_at__isnull=False) & ~Q(stopped_by="")),
                name="executor_control_stopped_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"control of {self.executor.client_id}"

    @property
    def caps_sums(self) -> bool:
        return self.max_minor_minute is not None or self.max_minor_day is not None


class UsePeriod(models.TextChoices):
    MINUTE = "minute"
    DAY = "day"


class ExecutorUse(models.Model):
    """How much a capped executor reserved in one minute or UTC day; the caps are in the row.

    The constraints arbitrate between redemptions that race for the last of a cap.
    """

    id = models.BigAutoField(primary_key=True)
    executor = models.ForeignKey(ServiceClient, on_delete=models.CASCADE, related_name="uses")
    period = models.CharField(max_length=10, choices=UsePeriod.choices)
    starts_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    minor = models.PositiveBigIntegerField(default=0, help_text="Minor units of the currency.")
    max_count = models.PositiveIntegerField(null=True)
    max_minor = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["executor", "period", "starts_at"], name="executor_use_once"
            ),
            models.CheckConstraint(
                condition=Q(max_count=None) | Q(count__lte=F("max_count")),
                name="executor_use_count_within_cap",
            ),
            models.CheckConstraint(
                condition=Q(max_minor=None) | Q(minor__lte=F("max_minor")),
                name="executor_use_sum_within_cap",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period} {self.starts_at:%Y-%m-%d %H:%M} of {self.executor_id}"
