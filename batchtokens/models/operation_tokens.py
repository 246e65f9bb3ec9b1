"""The row behind an operation token: what was signed, and the state that its ledger adds up to.

The token's bytes are not here, only their digest (and, for a day after an exchange, a sealed copy).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q

from accounts.models import FIRST_PARTY, IdentifiedModel, ServiceClient
from batchtokens.models.consents import Consent
from batchtokens.models.operation_types import ConsentMode, OperationType
from batchtokens.models.status_lists import STATUS_LIST_SIZE, StatusList


class Status(models.TextChoices):
    ACTIVE = "active"
    HELD = "held"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


# What may follow what. `completed` and `expired` are never stored, counts and time lead there: a
# last run may be settled after the token has expired.
STATUS_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.ACTIVE: frozenset({Status.HELD, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED}),
    Status.HELD: frozenset(
        {Status.ACTIVE, Status.HELD, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED}
    ),
    Status.EXPIRED: frozenset({Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class HoldKind(models.TextChoices):
    USER = "user"
    CLIENT = "client"
    STAFF = "staff"
    SYSTEM = "system"


class OperationTokenQuerySet(models.QuerySet["OperationToken"]):
    def for_user(self, user: Any) -> OperationTokenQuerySet:
        return self.filter(user=user)

    def live(self, now: dt.datetime | Func) -> OperationTokenQuerySet:
        """Neither cancelled, completed nor expired; a held one is live."""
        return self.filter(
            cancelled_at=None, valid_to__gt=now, settled_count__lt=F("max_occurrences")
        )

    def with_status(self, status: str, now: dt.datetime) -> OperationTokenQuerySet:
        """Keep those whose `status_at(now)` is `status`."""
        if status == Status.CANCELLED:
            return self.exclude(cancelled_at=None)
        if status == Status.COMPLETED:
            return self.filter(cancelled_at=None, settled_count__gte=F("max_occurrences"))
        if status == Status.EXPIRED:
            return self.filter(
                cancelled_at=None, valid_to__lte=now, settled_count__lt=F("max_occurrences")
            )
        live = self.live(now)
        runs = Q(holds=[], disowned_at=None)
        return live.filter(runs) if status == Status.ACTIVE else live.exclude(runs)


class OperationToken(IdentifiedModel):
    """One mandate.

    From `holds` on its columns are the fold of its ledger (the confirmation of a cancel is signed
    from it), but for the last, which follows from its limits; the others never change.
    """

    public_prefix = "op"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="operation_tokens"
    )
    client = models.ForeignKey(
        ServiceClient,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="triggered_tokens",
        help_text="The trigger; empty: the built-in one.",
    )
    executor = models.ForeignKey(
        ServiceClient, on_delete=models.PROTECT, related_name="executed_tokens"
    )
    operation_type = models.ForeignKey(OperationType, on_delete=models.PROTECT)
    type_name = models.CharField(max_length=80)
    token_hash = models.CharField(max_length=43, unique=True)
    jws_digest = models.CharField(max_length=43, help_text="SHA-256 of the token's exact bytes.")
    kid = models.CharField("key id", max_length=64)
    alg = models.CharField("algorithm", max_length=10)
    operation = models.TextField(help_text="Canonical JSON, as signed.")
    parameter_digest = models.CharField(max_length=60)
    details = models.JSONField(help_text="The authorization_details element, as signed.")
    summary = models.TextField()
    language = models.CharField(max_length=20)
    consent_mode = models.CharField(max_length=10, choices=ConsentMode.choices)
    currency = models.CharField(max_length=3, blank=True)
    amount_minor = models.PositiveBigIntegerField(null=True, help_text="Empty: variable.")
    max_total_minor = models.PositiveBigIntegerField(null=True)
    max_occurrences = models.PositiveIntegerField(help_text="Slots of the whole life.")
    issued_at = models.DateTimeField()
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField()
    salt = models.BinaryField(help_text="Salts the personal values' digests in the ledger.")
    # Unique, so absent is null.
    subject_digest = models.CharField(  # noqa: DJ001 - see above
        max_length=43, null=True, help_text="Digest of the jti of the exchanged access token."
    )
    idempotency_digest = models.CharField(  # noqa: DJ001 - see above
        max_length=43, null=True, unique=True
    )
    request_digest = models.CharField(max_length=43, blank=True)
    sealed_token = models.BinaryField(null=True)
    sealed_until = models.DateTimeField(null=True)
    # The signature is not in it, so that even opened it is no token.
    claims_sealed = models.BinaryField(
        null=True,
        help_text="The claims as signed, AEAD-sealed, to sign them anew with another key.",
    )
    consent = models.OneToOneField(
        Consent,
        null=True,
        on_delete=models.PROTECT,
        related_name="operation_token",
        help_text="What the person confirmed; empty: the meta-scope was enough.",
    )
    status_list = models.ForeignKey(StatusList, null=True, on_delete=models.PROTECT)
    status_index = models.PositiveIntegerField(null=True)

    holds = models.JSONField(default=list, help_text="The kinds that hold it now, sorted.")
    cancelled_at = models.DateTimeField(null=True)
    # Null where there is none: SQLite adds such a column without writing the table anew.
    cancellation = models.TextField(  # noqa: DJ001 - see above
        null=True, help_text="The signed confirmation that it was cancelled."
    )
    disowned_at = models.DateTimeField(null=True, help_text="Its signature counts no more.")
    taken_count = models.PositiveIntegerField(default=0)
    taken_minor = models.PositiveBigIntegerField(default=0)
    settled_count = models.PositiveIntegerField(default=0)
    lowered = models.JSONField(
        default=dict, blank=True, help_text="Limits below the signed ones, members as signed."
    )
    seq = models.PositiveIntegerField(default=0, help_text="Ledger entries so far.")
    head_hash = models.CharField(max_length=43, blank=True)
    last_at = models.DateTimeField()
    next_close_at = models.DateTimeField(
        null=True, help_text="When to look for missed runs again; empty: nobody has looked yet."
    )

    objects = OperationTokenQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject_digest", "type_name"], name="operation_token_one_per_subject_token"
            ),
            models.CheckConstraint(
                condition=Q(valid_to__gt=F("valid_from")), name="operation_token_validity_order"
            ),
            models.CheckConstraint(
                condition=Q(taken_count__lte=F("max_occurrences")),
                name="operation_token_count_within_limit",
            ),
            models.CheckConstraint(
                condition=Q(max_total_minor=None) | Q(taken_minor__lte=F("max_total_minor")),
                name="operation_token_sum_within_limit",
            ),
            models.CheckConstraint(
                condition=Q(settled_count__lte=F("taken_count")),
                name="operation_token_settled_were_taken",
            ),
            models.CheckConstraint(
                condition=Q(consent_mode="exact", consent__isnull=False)
                | Q(consent_mode="scope", consent=None),
                name="operation_token_exact_has_consent",
            ),
            models.UniqueConstraint(
                fields=["status_list", "status_index"], name="operation_token_status_index_once"
            ),
            models.CheckConstraint(
                condition=Q(status_index=None) | Q(status_index__lt=STATUS_LIST_SIZE),
                name="operation_token_status_index_in_list",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-issued_at"], name="operation_token_by_user"),
            models.Index(fields=["executor", "-issued_at"], name="operation_token_by_executor"),
            models.Index(fields=["kid", "valid_to"], name="operation_token_by_key_end"),
            models.Index(
                fields=["sealed_until"],
                condition=Q(sealed_until__isnull=False),
                name="operation_token_sealed",
            ),
            models.Index(fields=["next_close_at"], name="operation_token_next_close"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def client_name(self) -> str:
        return self.client.client_id if self.client else FIRST_PARTY

    @property
    def most_runs(self) -> int:
        """How many slots may be taken: all of them, or fewer since the person lowered it."""
        lowered: int = self.lowered.get("max_occurrences", self.max_occurrences)
        return min(lowered, self.max_occurrences)

    def status_at(self, now: dt.datetime) -> Status:
        if self.cancelled_at is not None:
            return Status.CANCELLED
        if self.settled_count >= self.max_occurrences:
            return Status.COMPLETED
        if now >= self.valid_to:
            return Status.EXPIRED
        return Status.HELD if self.holds or self.disowned_at else Status.ACTIVE

    def bears(self, jws_digest: str) -> bool:
        """Tell whether a token of this digest is the row's, and its signature still counts."""
        return self.disowned_at is None and self.jws_digest == jws_digest

    def state(self) -> dict[str, Any]:
        """Return what a ledger entry says of the row after it; append-only, as the wire is."""
        state = {
            "cancelled": self.cancelled_at is not None,
            "count": self.taken_count,
            "holds": list(self.holds),
            "settled": self.settled_count,
            "sum": self.taken_minor,
        }
        state |= {"lowered": self.lowered} if self.lowered else {}
        return state | {"disowned": True} if self.disowned_at else state
