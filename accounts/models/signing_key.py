"""Signing keys.  Their state follows from the clock, so no job has to move them on.

Of one purpose the newest key that is active signs; later ones are upcoming (published so that
verifiers know them in time), earlier ones retired (published while their tokens live).
"""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models.identified import IdentifiedModel
from batchtokens_verifier.jws import Purpose


class SigningKeyQuerySet(models.QuerySet["SigningKey"]):
    def for_purpose(self, purpose: str) -> "SigningKeyQuerySet":
        """Keep the keys of one token class."""
        return self.filter(purpose=purpose)


class SigningKey(IdentifiedModel):
    """A key pair of one purpose; the private part is sealed."""

    public_prefix = "jwk"

    kid = models.CharField(max_length=64)
    purpose = models.CharField(max_length=20, choices=[(p.value, p.value) for p in Purpose])
    alg = models.CharField(max_length=10, default="ES256")
    public_jwk = models.JSONField()
    private_sealed = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    activates_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, help_text="Signs no more, whatever else there is.")
    compromised_at = models.DateTimeField(null=True, help_text="Verifies no more, either.")

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kid"], name="signing_key_kid_unique"),
            # Two processes that make the next key at once leave one.
            models.UniqueConstraint(
                fields=["purpose", "activates_at"], name="signing_key_one_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.kid}"

    def seal_context(self) -> str:
        """Name what the private part is sealed for: an edited row does not open."""
        marks = [f"retired:{_seconds(self.retired_at)}"] if self.retired_at else []
        marks += [f"compromised:{_seconds(self.compromised_at)}"] if self.compromised_at else []
        activates = _seconds(self.activates_at)
        return ":".join(["signing-key", self.kid, self.purpose, self.alg, str(activates), *marks])


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())
