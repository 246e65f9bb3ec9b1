"""Signed-in places: a browser session, or a mobile session with its chain of refresh tokens.

The row alone is the refresh state: it holds digests of the newest refresh token and of the
one before it, so that no token is ever stored and no replay goes unseen.
"""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.identified import IdentifiedModel
from accounts.models.security_event import USER_AGENT_LENGTH

FIRST_PARTY = "first-party"
DIGEST_LENGTH = 64
MAX_REISSUES = 10


class SessionKind(models.TextChoices):
    MOBILE = "mobile"
    BROWSER = "browser"


class EndReason(models.TextChoices):
    LOGOUT = "logout"
    REVOKED = "revoked"
    REPLAY = "replay"


class SessionFamilyQuerySet(models.QuerySet["SessionFamily"]):
    def live(self, now: datetime) -> "SessionFamilyQuerySet":
        """Keep families that can still open something."""
        awake = ~models.Q(kind=SessionKind.BROWSER) | models.Q(
            last_used_at__gt=now - settings.BROWSER_SESSION_IDLE
        )
        return self.filter(awake, ended_at=None, expires_at__gt=now, user__is_active=True)

    def not_ended(self) -> "SessionFamilyQuerySet":
        """Keep families that nobody has ended, whether or not their time has run out."""
        return self.filter(ended_at=None)

    def end(self, *, reason: EndReason, now: datetime) -> int:
        """End those that nobody has ended; the first reason stays."""
        return self.not_ended().update(ended_at=now, end_reason=reason)

    def locked(self, identifier: uuid.UUID) -> "SessionFamily | None":
        """Read one family and its person, and keep others from changing it until commit."""
        # NO KEY: a row that refers to the family can be written meanwhile.
        rows = self.select_for_update(of=("self",), no_key=True).select_related("user")
        return rows.filter(pk=identifier).first()


class SessionFamily(IdentifiedModel):
    """One signed-in place of one person."""

    public_prefix = "ses"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="session_families"
    )
    client_id = models.CharField(max_length=100, default=FIRST_PARTY)
    kind = models.CharField(max_length=10, choices=SessionKind)
    audience = models.CharField(max_length=500)
    scope = models.TextField()
    auth_time = models.DateTimeField()
    acr = models.CharField(max_length=50)
    amr = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=20, choices=EndReason, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=USER_AGENT_LENGTH, blank=True)
    current_jti_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    previous_jti_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    rotated_by_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    rotation_key_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    reissues = models.PositiveSmallIntegerField(default=0)

    objects = SessionFamilyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "session families"
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="session_family_expires_at"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")),
                name="session_family_expires_after_start",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None, end_reason="")
                | (models.Q(ended_at__isnull=False) & ~models.Q(end_reason="")),
                name="session_family_end_has_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(reissues__lte=MAX_REISSUES),
                name="session_family_reissues_bounded",
            ),
            models.CheckConstraint(
                condition=models.Q(kind=SessionKind.BROWSER) | ~models.Q(current_jti_digest=""),
                name="session_family_mobile_has_token",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    def is_live(self, now: datetime) -> bool:
        """Say whether this family and its person can still open something."""
        idle = now - self.last_used_at >= settings.BROWSER_SESSION_IDLE
        asleep = idle and self.kind == SessionKind.BROWSER
        return (
            self.ended_at is None and now < self.expires_at and not asleep and self.user.is_active
        )
