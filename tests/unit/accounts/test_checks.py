"""checks: what a deployment must have."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.checks import (
    check_browser_sessions,
    check_key_ring_ttl,
    check_lifetimes,
    check_password_hasher,
    check_token_blacklist,
)


def test_want_the_bounded_hasher(settings: Any) -> None:
    assert [error.id for error in check_password_hasher()] == ["accounts.E001"]

    settings.PASSWORD_HASHERS = ["accounts.crypto.passwords.BoundedArgon2PasswordHasher"]
    assert check_password_hasher() == []


def test_refuse_the_token_blacklist(settings: Any) -> None:
    assert check_token_blacklist() == []

    settings.INSTALLED_APPS = ["rest_framework_simplejwt.token_blacklist"]
    assert [error.id for error in check_token_blacklist()] == ["accounts.E002"]


@pytest.mark.parametrize(
    ("refresh", "found"),
    [(timedelta(minutes=15), 1), (timedelta(days=90), 0), (timedelta(days=91), 1)],
)
def test_want_lifetimes_in_order(settings: Any, refresh: timedelta, found: int) -> None:
    settings.REFRESH_TOKEN_LIFETIME = refresh

    assert len(check_lifetimes()) == found


@pytest.mark.parametrize(("seconds", "found"), [(300, 0), (301, 1)])
def test_warn_of_a_long_lived_ring(settings: Any, seconds: int, found: int) -> None:
    settings.KEY_RING_TTL = timedelta(seconds=seconds)

    assert len(check_key_ring_ttl()) == found


@pytest.mark.parametrize(
    "change",
    [
        {"SESSION_ENGINE": "django.contrib.sessions.backends.db"},
        {"MIDDLEWARE": ["django.contrib.auth.middleware.AuthenticationMiddleware"]},
    ],
)
def test_want_browsers_bound_to_places(settings: Any, change: dict[str, Any]) -> None:
    assert check_browser_sessions() == []

    for name, value in change.items():
        setattr(settings, name, value)
    assert [error.id for error in check_browser_sessions()] == ["accounts.E005"]
