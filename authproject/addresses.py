"""Addresses that the environment names: checked when the service starts, refused in a sentence."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

DATABASE_SCHEMES = ("postgresql", "postgres", "sqlite")


def web_address(name: str, text: str) -> SplitResult:
    """Return the parts of an http or https address. Raises ImproperlyConfigured."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        is_address = None
    if not is_address or parts.query:
        raise ImproperlyConfigured(f"{name} must be an http or https address without a query.")
    return parts


def database_config(url: str) -> dict[str, Any]:
    """Return what Django's DATABASES needs to know. Raises ImproperlyConfigured.

    No part of the address is repeated: there may be a password in it.
    """
    if url.partition("://")[0] not in DATABASE_SCHEMES:
        raise ImproperlyConfigured(
            "DATABASE_URL must be postgresql://user:password@host/name or sqlite:////absolute/path."
        )
    try:
        config: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        raise ImproperlyConfigured("DATABASE_URL has a host or a port that cannot be.") from None
    return config
