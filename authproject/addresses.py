"""Addresses that the environment names: checked when the service starts, refused in a sentence."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

DATABASE_SCHEMES = ("postgresql", "postgres", "sqlite")
LOCK_TIMEOUT_MS = 2000  # a waiting redeemer is told to come back rather than piling up
MAIL_SCHEMES = ("smtp", "smtp+tls", "smtp+ssl", "smtps", "filemail", "consolemail", "memorymail")
CACHE_SCHEMES = ("redis", "rediss")
# Whoever asks must not feel that Redis hangs: short, and never again within a request.
CACHE_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 0.08,  # seconds
    "socket_timeout": 0.12,
    "retry": Retry(NoBackoff(), 0),
    "lib_name": None,  # not introducing ourselves saves two round trips a connection
    "lib_version": None,
}


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


def connection_options(
    config: dict[str, Any], *, folder: Path, statement_timeout: int
) -> dict[str, Any]:
    """Return what a database's connections are opened with.  statement_timeout: seconds."""
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # IMMEDIATE takes the write lock at BEGIN; DEFERRED answers "database is locked" under load.
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;"
            " PRAGMA busy_timeout=5000; PRAGMA synchronous=FULL",
        }
        return {"OPTIONS": options, "TEST": {"NAME": str(folder / "test.sqlite3")}}
    options = config.get("OPTIONS", {}) | {
        "connect_timeout": 5,
        "options": f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT_MS}"
        f" -c statement_timeout={statement_timeout * 1000}",
    }
    return {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}


def mail_config(url: str, *, folder: Path, test: bool = False) -> dict[str, Any]:
    """Return Django's EMAIL_ settings; without an address, mail is written into the folder.

    Raises ImproperlyConfigured, without a part of the address: there may be a password in it.
    """
    url = url or ("memorymail://" if test else "filemail://")
    scheme, _, path = url.partition("://")
    # environ reads a file's path as it would read a database's name.
    known = {"filemail": "filemail://"}.get(scheme, url if scheme in MAIL_SCHEMES else "smtp://")
    try:
        config = environ.Env.email_url_config(known)
    except ValueError:  # a port that is none
        config = {"EMAIL_HOST": ""}
    if known.startswith("smtp") and not config["EMAIL_HOST"]:
        raise ImproperlyConfigured("EMAIL_URL must be smtp+tls://user:password@host:587.")
    return {
        "EMAIL_BACKEND": config["EMAIL_BACKEND"],
        "EMAIL_FILE_PATH": (path or str(folder)) if scheme == "filemail" else None,
        "EMAIL_HOST": config["EMAIL_HOST"] or "",
        "EMAIL_PORT": config["EMAIL_PORT"] or 25,
        "EMAIL_HOST_USER": config["EMAIL_HOST_USER"] or "",
        "EMAIL_HOST_PASSWORD": config["EMAIL_HOST_PASSWORD"] or "",
        "EMAIL_USE_TLS": config.get("EMAIL_USE_TLS", False),
        "EMAIL_USE_SSL": config.get("EMAIL_USE_SSL", False),
        "EMAIL_TIMEOUT": 10,  # seconds for each step
    }


def caches_config(url: str) -> dict[str, Any]:
    """Return Django's CACHES: what counts for the limits, in Redis if `url` names one.

    Raises ImproperlyConfigured, without a part of the address: there may be a password in it.
    """
    caches: dict[str, Any] = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "limits": {"BACKEND": "accounts.limits.stores.LimitCache"},
        # Exact however many processes count at once; local memory and DatabaseCache are not.
        "counters": {"BACKEND": "accounts.limits.counter_cache.CounterCache"},
    }
    if url:
        caches["redis"] = {
            "BACKEND": "accounts.limits.stores.RedisCounters",
            "LOCATION": _redis_address(url),
            "OPTIONS": CACHE_OPTIONS,
        }
    return caches


def _redis_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in CACHE_SCHEMES and parts.hostname and parts.port != 0
        number = parts.path.removeprefix("/")
        is_address = is_address and (not number or (number.isascii() and number.isdigit()))
    except ValueError:  # a port that is none, half an IPv6 address
        is_address = None
    if not is_address or parts.query or parts.fragment:
        raise ImproperlyConfigured(
            "CACHE_URL must be redis://host:6379/0, or rediss:// for TLS, without a query."
        )
    return url
