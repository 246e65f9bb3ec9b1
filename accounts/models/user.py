"""People."""

import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.crypto import secret_digest
from accounts.models.folded import FoldedField, nfkc
from accounts.models.identified import IdentifiedModel

USERNAME_MAX_LENGTH = 64
EMAIL_MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, without its angle brackets


def validate_username(username: str) -> None:
    """Accept letters and digits of any script, and nothing that can hide or look like markup."""
    if not nfkc(username).isalnum():
        raise ValidationError(_("Use letters and digits only."), code="not_alphanumeric")


def new_session_salt() -> str:
    """Draw what browser sessions are bound to."""
    return secrets.token_urlsafe(16)


class UserManager(BaseUserManager["User"]):
    """Finds and makes people."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find by username, however it is written; Django's own login asks this way."""
        return self.get(username_folded=username or "")

    def create_user(
        self, username: str, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        """Store a person; without a password nobody can sign in as them.

        Whoever makes accounts for others answers for their addresses: they count as verified.
        """
        fields.setdefault("email_verified_at", timezone.now())
        user = self.model(username=nfkc(username), email=email.strip(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, username: str, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        """Store an administrator."""
        return self.create_user(
            username, email, password, is_staff=True, is_superuser=True, **fields
        )


class User(IdentifiedModel, AbstractBaseUser, PermissionsMixin):
    """A person.  Names are unique by their folded form: `JohnDoe` is `johndoe`."""

    public_prefix = "usr"

    username = models.CharField(max_length=USERNAME_MAX_LENGTH, validators=[validate_username])
    # Casefolding can make three characters of one.
    username_folded = FoldedField(source="username", max_length=3 * USERNAME_MAX_LENGTH)
    email = models.EmailField(max_length=EMAIL_MAX_LENGTH)
    email_folded = FoldedField(source="email", max_length=3 * EMAIL_MAX_LENGTH)
    # The address that was verified is in email itself; a changed one is verified before it counts.
    email_verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField(default=True)
    # Somebody wrote "this wasn't me": inactive until the address's owner resets the password.
    frozen_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)
    # Browser sessions are bound to it, as to the password: a new one signs all of them out.
    session_salt = models.CharField(max_length=32, default=new_session_salt, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["username"], name="user_username_unique"),
            models.UniqueConstraint(fields=["username_folded"], name="user_username_folded_unique"),
            models.UniqueConstraint(fields=["email_folded"], name="user_email_folded_unique"),
            models.CheckConstraint(
                condition=~models.Q(username_folded=""), name="user_username_not_empty"
            ),
            models.CheckConstraint(
                condition=~models.Q(email_folded=""), name="user_email_not_empty"
            ),
            models.CheckConstraint(
                condition=models.Q(frozen_at=None) | models.Q(is_active=False),
                name="user_frozen_is_inactive",
            ),
        ]

    @property
    def is_verified(self) -> bool:
        """Say whether the person has shown that the address is theirs, where that is required."""
        return settings.EMAIL_VERIFICATION != "required" or self.email_verified_at is not None

    def set_password(self, raw_password: str | None) -> None:
        """Hash the password as every keyboard would write it (NIST SP 800-63B, 3.1.1.2)."""
        super().set_password(None if raw_password is None else nfkc(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """Compare with the stored hash; the password is normalised as `set_password` did."""
        return super().check_password(None if raw_password is None else nfkc(raw_password))

    def get_session_auth_hash(self) -> str:
        """Return what a browser session must hold to be this person's still."""
        return self._salted(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Return the same under each former SECRET_KEY."""
        return map(self._salted, super().get_session_auth_fallback_hash())

    def _salted(self, auth_hash: str) -> str:
        return secret_digest(f"{auth_hash}{self.session_salt}")
