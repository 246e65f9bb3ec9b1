"""Operation types: what may be asked for, by whom, for which executor.

A version that has issued never changes; `is_active` and the triggers are switches beside it.
"""

from __future__ import annotations

import re

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from accounts import ids
from accounts.models import Acr, ServiceClient

TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


class ConsentMode(models.TextChoices):
    SCOPE = "scope", "the meta-scope is enough"
    EXACT = "exact", "the user confirms each operation"


class OperationTypeQuerySet(models.QuerySet["OperationType"]):
    def current(self) -> OperationTypeQuerySet:
        return self.filter(is_current=True)

    def active(self) -> OperationTypeQuerySet:
        return self.current().filter(is_active=True)


class OperationType(models.Model):
    """One version of an operation type."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=80, validators=[RegexValidator(f"^{TYPE_NAME.pattern}$")])
    version = models.PositiveIntegerField(default=1)
    is_current = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True, help_text="Switch off to stop every run at once.")
    meta_scope = models.CharField(max_length=80)
    scope = models.CharField("action scope", max_length=80)
    executor = models.ForeignKey(
        ServiceClient, on_delete=models.PROTECT, related_name="executed_types"
    )
    trigger_clients = models.ManyToManyField(
        ServiceClient, related_name="triggered_types", blank=True
    )
    consent = models.CharField(
        max_length=10, choices=ConsentMode.choices, default=ConsentMode.EXACT
    )
    schema = models.JSONField(help_text="A closed JSON Schema of the operation.")
    summary_template = models.TextField(
        help_text="One sentence; every leaf of the operation appears in it as {member.member}."
    )
    max_lifetime_days = models.PositiveIntegerField(default=366)
    max_live_mandates = models.PositiveIntegerField(
        null=True, blank=True, help_text="Live mandates one person may have; empty: no cap."
    )
    max_total_minor = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units, summed over one person's live mandates."
    )
    max_total_currency = models.CharField(max_length=3, blank=True)
    max_authentication_age = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds since the person last signed in; empty: any."
    )
    required_acr = models.CharField(
        "required level",
        max_length=10,
        blank=True,
        choices=[(Acr.ONE_FACTOR.value, "one factor"), (Acr.TWO_FACTORS.value, "two factors")],
        help_text="How surely the person signed in; empty: any.",
    )
    shows_suspended = models.BooleanField(
        default=False, help_text="A hold is published as SUSPENDED; off: as INVALID."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OperationTypeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="operation_type_version_once"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(is_current=True), name="operation_type_one_current"
            ),
            models.UniqueConstraint(
                fields=["meta_scope"],
                condition=Q(is_current=True),
                name="operation_type_meta_scope_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
