"""Whom a provider says that somebody is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

EMAIL_LENGTH = 254
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at a provider: (iss, sub) alone says who.

    email, name: what the provider says beside it, "" if nothing usable; they name nobody here.
    """

    iss: str
    sub: str
    email: str = ""
    email_verified: bool = False
    name: str = ""

    @property
    def label(self) -> str:
        """Return what its person recognises it by."""
        return self.email or self.name


def usable_email(claims: Mapping[str, Any]) -> str:
    """Return the e-mail of some claims, "" unless it is a sound address."""
    email = claims.get("email")
    if not isinstance(email, str) or len(email) > EMAIL_LENGTH:
        return ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email


def usable_name(name: object) -> str:
    """Return a name that can be shown, "" for anything else."""
    if not isinstance(name, str) or not name.isprintable():
        return ""
    return name[:NAME_LENGTH]
