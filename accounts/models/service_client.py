"""Service clients: machine principals such as a gateway, a trigger or an executor."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.crypto import open_sealed, seal
from accounts.models.identified import IdentifiedModel


class ServiceClientQuerySet(models.QuerySet["ServiceClient"]):
    def active(self) -> "ServiceClientQuerySet":
        """Keep clients that may authenticate."""
        return self.filter(is_active=True)

    def for_audience(self, audience: str) -> "ServiceClientQuerySet":
        """Keep the client, if any, that tokens for this audience are meant for."""
        return self.active().filter(audience=audience)


class ServiceClient(IdentifiedModel):
    """A machine principal.  Its `client_id` is its name, its secrets are its API keys."""

    public_prefix = "cli"
    # DRF asks every `request.user` these.
    is_authenticated = True
    is_anonymous = False
    is_staff = False
    # Set on the instance that authenticated with a key of fewer scopes; never stored.
    narrowed_to: frozenset[str] | None = None
    # The id of the key that it authenticated with, "" for an assertion; never stored.
    shown_key = ""

    client_id = models.CharField(max_length=100)
    audience = models.CharField(max_length=500, null=True, blank=True)  # noqa: DJ001 - unique, so absent is null
    delivery_url = models.URLField(max_length=500, blank=True)
    delivery_secret_sealed = models.BinaryField(blank=True, default=b"")
    scopes = models.JSONField(default=list, blank=True)
    # Public keys of `private_key_jwt` (RFC 7523), as a JWK Set; empty: it has none.
    jwks = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ServiceClientQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client_id"], name="service_client_client_id_unique"),
            models.UniqueConstraint(fields=["audience"], name="service_client_audience_unique"),
            models.CheckConstraint(
                condition=~models.Q(client_id=""), name="service_client_client_id_not_empty"
            ),
            models.CheckConstraint(
                condition=models.Q(audience=None) | ~models.Q(audience=""),
                name="service_client_audience_not_empty",
            ),
        ]

    def __str__(self) -> str:
        return self.client_id

    @property
    def granted_scopes(self) -> frozenset[str]:
        """What this client may do here and now: its scopes, narrowed by the key it showed."""
        own = frozenset(self.scopes)
        return own if self.narrowed_to is None else own & self.narrowed_to

    def set_delivery_secret(self, secret: str) -> None:
        """Seal the secret that signs deliveries; it opens for this client only."""
        self.delivery_secret_sealed = seal(secret.encode(), context=self.seal_context())

    def delivery_secret(self) -> str:
        """Open the secret that signs deliveries; "" if there is none.

        Raises SealBroken.
        """
        if not self.delivery_secret_sealed:
            return ""
        return open_sealed(self.delivery_secret_sealed, context=self.seal_context()).decode()

    def seal_context(self) -> str:
        """Name which client the secret is sealed for: in another row it does not open."""
        return f"delivery-secret:{self.public_id}"
