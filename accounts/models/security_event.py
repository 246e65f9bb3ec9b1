"""The security log.  Rows are only added; refusals of strangers are counted in one row.

No event holds a secret or a token: digests and public ids only.
"""

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts.models.identified import IdentifiedModel
from accounts.models.rate_counter import RateUsage

USER_AGENT_LENGTH = 300


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request came from, as far as it may be believed."""

    address: str = ""
    user_agent: str = ""
    request_id: str = ""
    # What this request used of volume limits, for the fields of its answer.
    usages: list[RateUsage] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, request: object) -> "RequestContext":
        """Return where the request came from, as the middleware has put it there."""
        context = getattr(request, "context", None)
        return context if isinstance(context, RequestContext) else cls()

    @property
    def network(self) -> str:
        """The caller's network: strangers are counted by it (/24, and /48 for IPv6)."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return ""
        length = 24 if address.version == 4 else 48
        return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


class Outcome(models.TextChoices):
    SUCCESS = "success"
    REFUSED = "refused"


class SecurityEventQuerySet(models.QuerySet["SecurityEvent"]):
    def record_once(self, *events: "SecurityEvent") -> None:
        """Add each event unless its correlation is there already."""
        self.bulk_create(events, ignore_conflicts=True)

    def record_counted(self, event: "SecurityEvent") -> None:
        """Add an event, or count one more in the row of the same correlation."""
        same = self.filter(correlation=event.correlation)
        if same.update(count=models.F("count") + 1):
            return
        try:
            with transaction.atomic():
                event.save(force_insert=True)
        except IntegrityError:  # another process was first
            same.update(count=models.F("count") + 1)


class SecurityEvent(IdentifiedModel):
    """Something that happened to an account or was refused to somebody."""

    public_prefix = "evt"

    at = models.DateTimeField(default=timezone.now)
    code = models.CharField(max_length=60)
    outcome = models.CharField(max_length=10, choices=Outcome)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,  # security_event_of_user begins with it
    )
    client = models.ForeignKey(
        "accounts.ServiceClient", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=USER_AGENT_LENGTH, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)
    correlation = models.CharField(max_length=200, null=True)  # noqa: DJ001 - unique, so absent is null
    count = models.PositiveIntegerField(default=1)

    objects = SecurityEventQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["user", "-at"], name="security_event_of_user"),
            models.Index(fields=["code", "-at"], name="security_event_of_code"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["correlation"], name="security_event_correlation_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(count__gte=1), name="security_event_count_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.outcome}"


def minute_of(instant: datetime) -> str:
    """Name the minute in which strangers' refusals are counted together."""
    return instant.strftime("%Y-%m-%dT%H:%MZ")
