"""Client assertions that were shown (RFC 7523 section 3, rule 7): each `jti` counts once."""

from datetime import datetime
from typing import ClassVar

from django.db import IntegrityError, models, transaction

from accounts.models.service_client import ServiceClient


class ClientAssertionQuerySet(models.QuerySet["ClientAssertion"]):
    def spend(self, *, client: ServiceClient, jti_digest: str, expires_at: datetime) -> bool:
        """Note an assertion; False if it was shown before."""
        try:
            with transaction.atomic():
                self.create(client=client, jti_digest=jti_digest, expires_at=expires_at)
        except IntegrityError:
            return False
        return True

    def outdated(self, now: datetime) -> "ClientAssertionQuerySet":
        """Keep those whose own time has run out: they are refused without this row."""
        return self.filter(expires_at__lte=now)


class ClientAssertion(models.Model):
    """One assertion that was shown."""

    client = models.ForeignKey(ServiceClient, on_delete=models.CASCADE, related_name="+")
    jti_digest = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField()

    objects = ClientAssertionQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="client_assertion_expires_at")
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client", "jti_digest"], name="client_assertion_once"),
        ]

    def __str__(self) -> str:
        return f"{self.client_id} until {self.expires_at:%Y-%m-%d %H:%M}"
