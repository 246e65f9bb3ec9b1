"""The built-in queue: one sealed row per due run. A row is not believed; it says when to knock."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q

from accounts import ids
from batchtokens.models.operation_tokens import OperationToken


class RunState(models.TextChoices):
    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"


class QueuedRunQuerySet(models.QuerySet["QueuedRun"]):
    def unfinished(self) -> QueuedRunQuerySet:
        return self.filter(state__in=[RunState.PENDING, RunState.LEASED])

    def claimable(self, now: dt.datetime) -> QueuedRunQuerySet:
        """Due, and in nobody's hands: pending, or leased by a worker that did not come back."""
        return self.filter(
            Q(state=RunState.PENDING, next_attempt_at__lte=now)
            | Q(state=RunState.LEASED, leased_until__lte=now)
        )

    def waiting(self, now: dt.datetime) -> QueuedRunQuerySet:
        """Due, and never taken since: those that waited longest first."""
        due = self.filter(state=RunState.PENDING, next_attempt_at__lte=now)
        return due.order_by("next_attempt_at")

    def abandoned(self, now: dt.datetime) -> QueuedRunQuerySet:
        """Leased by a worker that did not come back, and taken by no other yet."""
        return self.filter(state=RunState.LEASED, leased_until__lte=now)

    def dead_since(self, instant: dt.datetime) -> QueuedRunQuerySet:
        return self.filter(state=RunState.DEAD, finished_at__gte=instant)


class QueuedRun(models.Model):
    """One occurrence of one operation, waiting for its time."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    operation_token = models.ForeignKey(
        OperationToken, on_delete=models.PROTECT, related_name="queued_runs"
    )
    occurrence = models.CharField(max_length=20)
    sealed = models.BinaryField(help_text="Token and operation, AEAD-sealed to this occurrence.")
    due_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    lease_owner = models.CharField(max_length=80, blank=True)
    leased_until = models.DateTimeField(null=True)
    code = models.CharField(max_length=60, blank=True, help_text="Why the last attempt failed.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = QueuedRunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["operation_token", "occurrence"], name="queued_run_occurrence_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "dead"], finished_at__isnull=False)
                | Q(state__in=["pending", "leased"], finished_at=None),
                name="queued_run_finished_has_instant",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="queued_run_pending_due",
            ),
            models.Index(
                fields=["leased_until"], condition=Q(state="leased"), name="queued_run_leases"
            ),
            models.Index(fields=["finished_at"], condition=Q(state="dead"), name="queued_run_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.webhook_id} {self.state}"

    @property
    def webhook_id(self) -> str:
        return f"{self.operation_token.public_id}.{self.occurrence}"
