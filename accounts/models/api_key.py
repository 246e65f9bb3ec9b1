"""API keys: `ak_live_<identifier><secret><checksum>`, of which only a digest is kept.

The checksum lets a scanner, and us, tell a key from noise without asking the database.
"""

import re
import secrets
import string
import zlib
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.crypto import same_digest, secret_digest
from accounts.models.identified import IdentifiedModel
from accounts.models.networks import is_within
from accounts.models.service_client import ServiceClient
from accounts.models.user import User

KEY_PREFIX = "ak_live_"
IDENTIFIER_LENGTH = 12
SECRET_LENGTH = 33  # 62^33 > 2^196
CHECKSUM_LENGTH = 6  # 62^6 > 2^32
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LETTERS = IDENTIFIER_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
_SHAPE = re.compile(rf"{KEY_PREFIX}[0-9A-Za-z]{{{_LETTERS}}}")


class ApiKeyParts(NamedTuple):
    """A key that is well formed: `identifier` finds its row, `text` is the whole of it."""

    identifier: str
    text: str


def generate_api_key() -> ApiKeyParts:
    """Draw a new key.  Its text is shown once and then forgotten."""
    identifier = _draw(IDENTIFIER_LENGTH)
    body = KEY_PREFIX + identifier + _draw(SECRET_LENGTH)
    return ApiKeyParts(identifier, body + _checksum(body))


def parse_api_key(text: str) -> ApiKeyParts | None:
    """Read a presented key; None unless its length, prefix and checksum are right."""
    body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    if not _SHAPE.fullmatch(text):  # whatever else might reach the database, such as NUL
        return None
    if checksum != _checksum(body):
        return None
    return ApiKeyParts(body[len(KEY_PREFIX) :][:IDENTIFIER_LENGTH], text)


def _draw(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def for_user(self, user: User) -> "ApiKeyQuerySet":
        """Keep a person's own keys."""
        return self.filter(user=user)

    def usable(self, now: datetime) -> "ApiKeyQuerySet":
        """Keep keys that open something now."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        active = models.Q(client__is_active=True) | models.Q(user__is_active=True)
        return self.filter(unexpired, active, revoked_at=None)

    def unrevoked(self) -> "ApiKeyQuerySet":
        """Keep keys that nobody has taken back, whether or not their time has run out."""
        return self.filter(revoked_at=None)

    def expiring(self, now: datetime, *, within: timedelta) -> "ApiKeyQuerySet":
        """Keep usable keys that soon open nothing, and that no other key follows."""
        return self.usable(now).filter(expires_at__lte=now + within, successor=None)

    def locked(self, now: datetime) -> "ApiKeyQuerySet":
        """Keep usable keys, and keep others from changing them until commit."""
        # NO KEY: rows that refer to the key can be written meanwhile.
        return self.usable(now).select_for_update(of=("self",), no_key=True)

    def unused_since(self, instant: datetime) -> "ApiKeyQuerySet":
        """Keep keys that were last used, or made and never used, before an instant."""
        never = models.Q(last_used_at=None, created_at__lt=instant)
        return self.filter(never | models.Q(last_used_at__lt=instant))


class ApiKey(IdentifiedModel):
    """One secret of a service client, or of a person.  Its scopes narrow its owner's."""

    public_prefix = "key"

    client = models.ForeignKey(
        ServiceClient, null=True, blank=True, on_delete=models.CASCADE, related_name="api_keys"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
    )
    identifier = models.CharField(max_length=IDENTIFIER_LENGTH, editable=False)
    secret_digest = models.CharField(max_length=64, editable=False)
    last_four = models.CharField(max_length=4, blank=True, editable=False)
    scopes = models.JSONField(default=list, blank=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # Networks in CIDR notation that it may be used from; none: from anywhere.
    allowed_networks = models.JSONField(default=list, blank=True)
    expiry_warned_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The key that follows this one; it was made by rotation.
    successor = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="predecessor"
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identifier"], name="api_key_identifier_unique"),
            models.CheckConstraint(
                condition=models.Q(client__isnull=False, user=None)
                | models.Q(client=None, user__isnull=False),
                name="api_key_one_owner",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at=None)
                | models.Q(expires_at__gt=models.F("created_at")),
                name="api_key_expires_after_start",
            ),
            models.CheckConstraint(
                condition=models.Q(user=None) | models.Q(expires_at__isnull=False),
                name="api_key_of_person_expires",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def prefix(self) -> str:
        """What a key begins with: enough to find it by, and no secret."""
        return f"{KEY_PREFIX}{self.identifier}"

    @property
    def owner(self) -> ServiceClient | User:
        """The client or the person whose key it is; the database lets it have one of them."""
        owner = self.client or self.user
        assert owner is not None  # noqa: S101 - api_key_one_owner
        return owner

    def allows(self, address: str) -> bool:
        """Say whether it may be used from an address."""
        return not self.allowed_networks or is_within(address, self.allowed_networks)

    def matches(self, key: ApiKeyParts) -> bool:
        """Compare a presented key with the stored digest in constant time."""
        return same_digest(self.secret_digest, secret_digest(key.text))
