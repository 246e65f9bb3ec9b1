"""Identities at other providers, and sign-ins there that have not come back yet."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.identified import IdentifiedModel
from accounts.models.session_family import SessionFamily

SUBJECT_LENGTH = 255  # OpenID Connect Core section 2: `sub` has at most 255 characters


class FederatedIdentity(IdentifiedModel):
    """Somebody at a provider, by (iss, sub) alone: an e-mail address proves nothing here."""

    public_prefix = "idn"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="federated_identities"
    )
    provider = models.CharField(max_length=50)
    iss = models.CharField(max_length=500)
    sub = models.CharField(max_length=SUBJECT_LENGTH)
    label = models.CharField(max_length=254, blank=True)  # for its person to recognise it by
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "federated identities"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["iss", "sub"], name="federated_identity_once"),
            models.UniqueConstraint(fields=["user", "iss"], name="federated_identity_one_a_user"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.label or self.sub}"


class FederationRequestQuerySet(models.QuerySet["FederationRequest"]):
    def take(self, *, state_digest: str, now: datetime) -> "FederationRequest | None":
        """Use a state up, in one statement that the database arbitrates, and return its request."""
        same = self.filter(state_digest=state_digest, used_at=None, expires_at__gt=now)
        if same.update(used_at=now) != 1:
            return None
        return self.select_related("user", "family").get(state_digest=state_digest)

    def outdated(self, now: datetime) -> "FederationRequestQuerySet":
        """Keep those that open nothing any more."""
        return self.filter(expires_at__lte=now)


class FederationRequest(models.Model):
    """One way to a provider and back.  `user` None: somebody signs in; else they link."""

    state_digest = models.CharField(max_length=64, editable=False)
    browser_digest = models.CharField(max_length=64, editable=False)  # who set out must come back
    provider = models.CharField(max_length=50)
    secrets_sealed = models.BinaryField(editable=False)  # nonce and code verifier
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    family = models.ForeignKey(SessionFamily, null=True, on_delete=models.CASCADE, related_name="+")
    scope = models.TextField(blank=True)
    audience = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    objects = FederationRequestQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="federation_request_expires_at")
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["state_digest"], name="federation_request_once"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} at {self.created_at:%Y-%m-%d %H:%M}"
