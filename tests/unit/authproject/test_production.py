"""What production refuses to start with."""

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from authproject.production import Deployment, refusals, refuse_unsafe

RANDOM_BYTES = bytes.fromhex("8f1c5e02b7d94a6633e0f2751dc8a90b64be37f10592cd7e48a13d5bf6208c97")
SAFE = Deployment(
    secret_key="k3X-9vQz_w7LmN2pR5tYbC8dF1gHjS4aEoUiW6xZ0nMqVrTyPlKsBhGc",
    field_encryption_keys=[RANDOM_BYTES],
    debug=False,
    rate_limits=True,
    issuer_url="https://auth.example.com",
    allowed_hosts=["auth.example.com"],
    database_engine="django.db.backends.postgresql",
    allow_sqlite=False,
    email_backend="django.core.mail.backends.smtp.EmailBackend",
    metrics_token="",
)


def test_starts_with_safe_settings() -> None:
    refuse_unsafe(SAFE)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"secret_key": ""}, "SECRET_KEY"),
        ({"secret_key": "k3X-9vQz_w7LmN2pR5tYbC8dF1gHjS4aEoUiW6xZ0nMqVrTyP"}, "SECRET_KEY"),
        ({"secret_key": "django-insecure-" + SAFE.secret_key}, "SECRET_KEY"),
        ({"secret_key": "x" * 60}, "SECRET_KEY"),
        ({"field_encryption_keys": []}, "FIELD_ENCRYPTION_KEYS"),
        ({"field_encryption_keys": [bytes(32)]}, "FIELD_ENCRYPTION_KEYS"),
        ({"field_encryption_keys": [RANDOM_BYTES, b"0123456789" * 3 + b"01"]}, "FIELD_ENC"),
        ({"debug": True}, "DEBUG"),
        ({"rate_limits": False}, "RATE_LIMITS"),
        ({"issuer_url": "http://auth.example.com"}, "ISSUER_URL"),
        ({"issuer_url": "https://"}, "ISSUER_URL"),
        ({"allowed_hosts": []}, "ALLOWED_HOSTS"),
        ({"allowed_hosts": ["auth.example.com", "*"]}, "ALLOWED_HOSTS"),
        ({"database_engine": "django.db.backends.sqlite3"}, "ALLOW_SQLITE"),
        ({"email_backend": "django.core.mail.backends.console.EmailBackend"}, "EMAIL_URL"),
        ({"metrics_token": "8f1c5e02b7d94a6633e0f2751dc8a90"}, "METRICS_TOKEN"),
        ({"metrics_token": "x" * 32}, "METRICS_TOKEN"),
    ],
)
def test_refuses_each_unsafe_setting_by_name(change: dict[str, Any], named: str) -> None:
    [sentence] = refusals(replace(SAFE, **change))
    assert named in sentence


def test_starts_with_a_metrics_token_of_32_characters() -> None:
    refuse_unsafe(replace(SAFE, metrics_token="8f1c5e02b7d94a6633e0f2751dc8a90b"))


def test_runs_on_sqlite_when_told_so() -> None:
    engine = "django.db.backends.sqlite3"
    refuse_unsafe(replace(SAFE, database_engine=engine, allow_sqlite=True))


def test_says_all_refusals_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        refuse_unsafe(replace(SAFE, debug=True, rate_limits=False))
    assert (
        str(refused.value) == "Production cannot start. DEBUG must be off. RATE_LIMITS must be on."
    )
