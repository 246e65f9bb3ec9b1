"""Links that e-mails carry.  Each opens once; only a digest is kept."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.user import EMAIL_MAX_LENGTH


class LinkPurpose(models.TextChoices):
    VERIFY_EMAIL = "verify_email", "verify e-mail"
    CHANGE_EMAIL = "change_email", "change e-mail"
    RESET_PASSWORD = "reset_password", "reset password"
    NOT_ME = "not_me", "this wasn't me"


class OneTimeLinkQuerySet(models.QuerySet["OneTimeLink"]):
    def usable(self, now: datetime) -> "OneTimeLinkQuerySet":
        """Keep links that still open something."""
        return self.filter(used_at=None, expires_at__gt=now)

    def spend(self, *, purpose: LinkPurpose, digest: str, now: datetime) -> bool:
        """Use a link up, in one statement that the database arbitrates."""
        same = self.usable(now).filter(purpose=purpose, token_digest=digest)
        return same.update(used_at=now) == 1

    def of_later_messages(self, link: "OneTimeLink") -> "OneTimeLinkQuerySet":
        """Keep what the same person was told at the same time as this link, or afterwards."""
        return self.filter(user=link.user_id, told_in__gte=link.told_in)

    def outdated(self, now: datetime) -> "OneTimeLinkQuerySet":
        """Keep those that open nothing any more."""
        return self.filter(models.Q(expires_at__lte=now) | models.Q(used_at__isnull=False))


class OneTimeLink(models.Model):
    """One link: what it does, for whom, and the address it was sent to."""

    token_digest = models.CharField(max_length=64, editable=False)
    purpose = models.CharField(max_length=20, choices=LinkPurpose)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="links"
    )
    email = models.EmailField(max_length=EMAIL_MAX_LENGTH)
    # The number of the message that it stands in.  Clocks differ; the lower was told earlier.
    told_in = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    objects = OneTimeLinkQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="one_time_link_expires_at")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_digest"], name="one_time_link_once"),
        ]

    def __str__(self) -> str:
        return self.purpose
