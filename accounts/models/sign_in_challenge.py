"""A sign-in that waits for its second factor.  Its token is opaque; only a digest is kept."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.session_family import FIRST_PARTY

MOST_TRIES = 5


class SignInChallengeQuerySet(models.QuerySet["SignInChallenge"]):
    def claim_try(self, digest: str, now: datetime) -> bool:
        """Take one of the challenge's tries before it is known whether it succeeds."""
        open_now = self.filter(
            token_digest=digest, spent_at=None, expires_at__gt=now, tries__lt=MOST_TRIES
        )
        return open_now.update(tries=models.F("tries") + 1) == 1

    def give_back_try(self, digest: str) -> None:
        """Give back a try that nobody judged."""
        tried = self.filter(token_digest=digest, tries__gt=0)
        tried.update(tries=models.F("tries") - 1)

    def spend(self, digest: str, now: datetime) -> bool:
        """Use the challenge up; of several at once one succeeds."""
        unspent = self.filter(token_digest=digest, spent_at=None)
        return unspent.update(spent_at=now) == 1

    def outdated(self, now: datetime) -> "SignInChallengeQuerySet":
        """Keep those that open nothing any more."""
        return self.filter(expires_at__lte=now)


class SignInChallenge(models.Model):
    """The first factor was right: who, for what, and how long the second may take."""

    token_digest = models.CharField(max_length=64, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    client_id = models.CharField(max_length=100, default=FIRST_PARTY)
    audience = models.CharField(max_length=500)
    scope = models.TextField()
    amr = models.JSONField(default=list)
    tries = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    spent_at = models.DateTimeField(null=True, blank=True)

    objects = SignInChallengeQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="sign_in_challenge_expires_at")
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_digest"], name="sign_in_challenge_once"),
            models.CheckConstraint(
                condition=models.Q(tries__lte=MOST_TRIES), name="sign_in_challenge_tries_bounded"
            ),
        ]

    def __str__(self) -> str:
        return f"challenge of {self.created_at:%Y-%m-%d %H:%M}"
