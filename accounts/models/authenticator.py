"""How often in a row somebody failed at one authenticator of one person.

The row is the count: no cache, no restart and nobody else's success forgets it
(NIST SP 800-63B section 3.2.2: no more than 100 consecutive failures).  Names that nobody has are
counted likewise, by a keyed digest, so that waiting tells nobody which names there are.
"""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models

MOST_FAILURES = 100


class AuthenticatorKind(models.TextChoices):
    PASSWORD = "password"
    SECOND_FACTOR = "second_factor", "second factor"  # TOTP and recovery codes together


class AuthenticatorQuerySet(models.QuerySet["Authenticator"]):
    def disabled(self) -> "AuthenticatorQuerySet":
        """Keep those that open nothing until their person proves themselves in another way."""
        return self.filter(failures__gte=MOST_FAILURES)

    def locked(self, user_id: uuid.UUID, kind: AuthenticatorKind) -> "Authenticator":
        """Read one, made on first use, and keep others from changing it until commit."""
        own = self.filter(user_id=user_id, kind=kind)
        return _lock(own, self.model(user_id=user_id, kind=kind))

    def locked_of_nobody(self, name_digest: str, kind: AuthenticatorKind) -> "Authenticator":
        """Read that of a name which nobody has, at the same cost."""
        own = self.filter(user=None, name_digest=name_digest, kind=kind)
        return _lock(own, self.model(name_digest=name_digest, kind=kind))

    def of_nobody(self, forgotten_before: datetime) -> "AuthenticatorQuerySet":
        """Keep those of names that nobody has, at which nobody has guessed since then."""
        return self.filter(user=None, strangers_wait_until__lt=forgotten_before)


def _lock(own: AuthenticatorQuerySet, unsaved: "Authenticator") -> "Authenticator":
    own.bulk_create([unsaved], ignore_conflicts=True)
    return own.select_for_update(of=("self",), no_key=True).get()


class Authenticator(models.Model):
    """One person's password, or second factor, as guessers meet it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="authenticators",
    )
    name_digest = models.CharField(max_length=64, blank=True, editable=False)
    kind = models.CharField(max_length=20, choices=AuthenticatorKind)
    failures = models.PositiveSmallIntegerField(default=0)
    # Until then nobody may try from where the person has never been.
    strangers_wait_until = models.DateTimeField(null=True, blank=True)

    objects = AuthenticatorQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "kind"], name="authenticator_once"),
            models.UniqueConstraint(
                fields=["name_digest", "kind"],
                condition=models.Q(user=None),
                name="authenticator_of_nobody_once",
            ),
            models.CheckConstraint(
                condition=models.Q(user=None) & ~models.Q(name_digest="")
                | models.Q(user__isnull=False, name_digest=""),
                name="authenticator_of_user_or_name",
            ),
            models.CheckConstraint(
                condition=models.Q(failures__lte=MOST_FAILURES),
                name="authenticator_failures_bounded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.failures} failures"

    @property
    def is_disabled(self) -> bool:
        """Say whether this opens nothing any more."""
        return self.failures >= MOST_FAILURES
