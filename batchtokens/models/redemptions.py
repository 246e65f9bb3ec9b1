"""Redemptions: used slots, one row each, and the attempts on them.

`in_doubt` is a reserved row whose lease is over.
"""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q

from accounts import ids
from accounts.models import ServiceClient
from batchtokens.models.operation_tokens import OperationToken
from batchtokens_verifier.constraints import Amount

MAX_RELEASES = 3


class RedemptionStatus(models.TextChoices):
    RESERVED = "reserved"
    IN_DOUBT = "in_doubt"
    SETTLED = "settled"
    RELEASED = "released"


# What may follow what; `in_doubt` is never stored, time alone leads there.
TRANSITIONS: dict[RedemptionStatus, frozenset[RedemptionStatus]] = {
    RedemptionStatus.RESERVED: frozenset({RedemptionStatus.SETTLED, RedemptionStatus.RELEASED}),
    RedemptionStatus.IN_DOUBT: frozenset(
        {RedemptionStatus.RESERVED, RedemptionStatus.SETTLED, RedemptionStatus.RELEASED}
    ),
    RedemptionStatus.RELEASED: frozenset({RedemptionStatus.RESERVED}),
    RedemptionStatus.SETTLED: frozenset(),
}


class RedemptionQuerySet(models.QuerySet["Redemption"]):
    def in_doubt(self, now: dt.datetime) -> RedemptionQuerySet:
        """Keep those whose `status_at(now)` is `in_doubt`, those in doubt longest first."""
        reserved = self.filter(status=RedemptionStatus.RESERVED, lease_expires_at__lte=now)
        return reserved.order_by("lease_expires_at")


class Redemption(models.Model):
    """One slot of one operation token; its id follows from both and its amount never changes."""

    id = models.CharField(primary_key=True, max_length=50, editable=False)
    operation_token = models.ForeignKey(
        OperationToken, on_delete=models.PROTECT, related_name="redemptions"
    )
    slot = models.CharField(max_length=20)
    status = models.CharField(max_length=10, choices=RedemptionStatus.choices)
    attempt = models.PositiveIntegerField(default=1)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    counts_at = models.DateTimeField(help_text="The instant whose periods it counts in.")
    reserved_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    reference = models.CharField(max_length=200, blank=True)
    releases = models.PositiveSmallIntegerField(default=0)
    closing_receipt = models.TextField(blank=True, help_text="Proof of settling or releasing.")

    objects = RedemptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["operation_token", "slot"], name="redemption_slot_once"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="redemption_amount"),
            models.CheckConstraint(
                condition=Q(status__in=["reserved", "settled", "released"]),
                name="redemption_status_stored",
            ),
            models.CheckConstraint(
                condition=Q(status="settled", settled_at__isnull=False)
                | (~Q(status="settled") & Q(settled_at=None)),
                name="redemption_settled_has_instant",
            ),
            models.CheckConstraint(
                condition=Q(releases__lte=MAX_RELEASES), name="redemption_releases_limited"
            ),
        ]
        indexes = [
            models.Index(
                fields=["lease_expires_at"],
                condition=Q(status="reserved"),
                name="redemption_leases",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def amount(self) -> Amount:
        return Amount(self.amount_minor, self.currency)

    def status_at(self, now: dt.datetime) -> RedemptionStatus:
        if self.status == RedemptionStatus.RESERVED and now >= self.lease_expires_at:
            return RedemptionStatus.IN_DOUBT
        return RedemptionStatus(self.status)


class RedemptionAttempt(models.Model):
    """One answered redemption request; insert-only: a retry gets the same bytes for ever."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    redemption = models.ForeignKey(Redemption, on_delete=models.PROTECT, related_name="attempts")
    client = models.ForeignKey(ServiceClient, on_delete=models.PROTECT)
    endpoint = models.CharField(max_length=20)
    idempotency_key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=43)
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()
    lease_expires_at = models.DateTimeField()
    remaining = models.JSONField()
    receipt = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client", "endpoint", "idempotency_key"], name="redemption_attempt_key_once"
            ),
            models.UniqueConstraint(
                fields=["redemption", "attempt"], name="redemption_attempt_number_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.redemption_id} attempt {self.attempt}"
