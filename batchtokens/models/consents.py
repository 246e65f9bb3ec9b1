"""Consents: what a person was shown, word by word, and confirmed with a second factor."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q

from accounts.models import FIRST_PARTY, IdentifiedModel, ServiceClient
from batchtokens.models.operation_types import OperationType


class ConsentStatus(models.TextChoices):
    OPEN = "open"
    CONFIRMED = "confirmed"
    SPENT = "spent"
    EXPIRED = "expired"


class ConsentQuerySet(models.QuerySet["Consent"]):
    def for_user(self, user: Any) -> ConsentQuerySet:
        return self.filter(user=user)

    def open(self, now: dt.datetime | Func) -> ConsentQuerySet:
        """Neither spent nor over; a confirmed one is open."""
        return self.filter(spent_at=None, expires_at__gt=now)

    def outdated(self, before: dt.datetime) -> ConsentQuerySet:
        """Over before that instant and never used; a spent one is evidence, and stays."""
        return self.filter(spent_at=None, expires_at__lt=before)


class Consent(IdentifiedModel):
    """One person's word about one mandate, for one trigger; it buys one operation token."""

    public_prefix = "cns"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="consents"
    )
    client = models.ForeignKey(
        ServiceClient,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="consents",
        help_text="The trigger; empty: the built-in one.",
    )
    operation_type = models.ForeignKey(
        OperationType, on_delete=models.PROTECT, related_name="consents"
    )
    details = models.JSONField(
        help_text="The authorization_details element as granted, before it has an identifier."
    )
    parameter_digest = models.CharField(max_length=60)
    mandate_digest = models.CharField(max_length=60)
    summary = models.TextField(help_text="The text as shown.")
    language = models.CharField(max_length=20)
    template_version = models.PositiveIntegerField(help_text="The operation type's version.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    confirmed_with = models.CharField(max_length=20, blank=True, help_text="RFC 8176 method.")
    spent_at = models.DateTimeField(null=True)
    confirmation_mac = models.BinaryField(
        null=True, help_text="The authority's own word that just this was confirmed."
    )

    objects = ConsentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(spent_at=None) | Q(confirmed_at__isnull=False),
                name="consent_spent_was_confirmed",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="consent_validity_order"
            ),
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="consent_by_user")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def client_name(self) -> str:
        return self.client.client_id if self.client else FIRST_PARTY

    def status_at(self, now: dt.datetime) -> ConsentStatus:
        if self.spent_at is not None:
            return ConsentStatus.SPENT
        if now >= self.expires_at:
            return ConsentStatus.EXPIRED
        return ConsentStatus.OPEN if self.confirmed_at is None else ConsentStatus.CONFIRMED
