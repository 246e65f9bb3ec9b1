"""What production refuses to start with, and why, in sentences an operator can act on."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

SECRET_KEY_LENGTH = 50
METRICS_TOKEN_LENGTH = 32
# Of 32 random bytes about 30 are distinct; fewer than 16 come once in 10**15 draws.
DISTINCT_BYTES = 16


@dataclass(frozen=True)
class Deployment:
    """The settings that decide whether production is safe to start."""

    secret_key: str
    field_encryption_keys: list[bytes]
    debug: bool
    rate_limits: bool
    issuer_url: str
    allowed_hosts: list[str]
    database_engine: str
    allow_sqlite: bool
    email_backend: str
    metrics_token: str


def refusals(deployment: Deployment) -> list[str]:
    """Return one sentence for each thing that production must not run with."""
    on_sqlite = deployment.database_engine.endswith("sqlite3")
    findings = {
        "SECRET_KEY must be set, at least 50 characters long and not a default.": (
            is_weak_secret(deployment.secret_key)
        ),
        "FIELD_ENCRYPTION_KEYS must be set, to random bytes.": (
            not deployment.field_encryption_keys
            or any(len(set(key)) < DISTINCT_BYTES for key in deployment.field_encryption_keys)
        ),
        "DEBUG must be off.": deployment.debug,
        "RATE_LIMITS must be on.": not deployment.rate_limits,
        "ISSUER_URL must be an https address.": not is_https(deployment.issuer_url),
        "ALLOWED_HOSTS must name the hosts that are served, and not '*'.": (
            not deployment.allowed_hosts or "*" in deployment.allowed_hosts
        ),
        "DATABASE_URL is SQLite: use PostgreSQL, or say ALLOW_SQLITE=true.": (
            on_sqlite and not deployment.allow_sqlite
        ),
        "EMAIL_URL must name a mail server: who loses a password gets in by e-mail alone.": (
            not deployment.email_backend.endswith("smtp.EmailBackend")
        ),
        "METRICS_TOKEN must be at least 32 characters, and random; without it /metrics is off.": (
            is_weak_metrics_token(deployment.metrics_token)
        ),
    }
    return [sentence for sentence, found in findings.items() if found]


def refuse_unsafe(deployment: Deployment) -> None:
    """Raise with every refusal at once, so that one start shows all there is to mend."""
    found = refusals(deployment)
    if found:
        raise ImproperlyConfigured("Production cannot start. " + " ".join(found))


def is_weak_secret(secret: str) -> bool:
    """Tell whether the key is short, repetitive or one of the well-known placeholders."""
    return (
        len(secret) < SECRET_KEY_LENGTH
        or len(set(secret)) < 10
        or secret.lower().startswith(("django-insecure", "change", "default", "secret"))
    )


def is_weak_metrics_token(token: str) -> bool:
    """Tell whether a token was set that is short or repetitive."""
    return bool(token) and (len(token) < METRICS_TOKEN_LENGTH or len(set(token)) < 10)


def is_https(url: str) -> bool:
    """Tell whether the address is https and names a host."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)
