"""Deployment checks (`check --deploy`) of what accounts depends on."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error

BOUNDED_HASHER = "accounts.crypto.passwords.BoundedArgon2PasswordHasher"
TOKEN_BLACKLIST = "rest_framework_simplejwt.token_blacklist"
SESSION_STORE = "accounts.pages.session_store"
BROWSER_MIDDLEWARE = "accounts.pages.middleware.BrowserSessionMiddleware"
LONGEST_KEY_RING_TTL = 300  # seconds; offline verifiers refetch about as often


def check_password_hasher(**_: Any) -> list[CheckMessage]:
    """Want the hasher whose memory is bounded."""
    if settings.PASSWORD_HASHERS[0] == BOUNDED_HASHER:
        return []
    hint = f"Put {BOUNDED_HASHER} first in PASSWORD_HASHERS."
    return [Error("New passwords are not hashed by bounded Argon2.", hint, id="accounts.E001")]


def check_token_blacklist(**_: Any) -> list[CheckMessage]:
    """Refuse SimpleJWT's blacklist: it checks, and then acts."""
    if TOKEN_BLACKLIST not in settings.INSTALLED_APPS:
        return []
    hint = "Session families replace it; take it out of INSTALLED_APPS."
    return [Error("SimpleJWT's token blacklist is installed.", hint, id="accounts.E002")]


def check_lifetimes(**_: Any) -> list[CheckMessage]:
    """Want access tokens to end before refresh tokens, and those before their family."""
    ordered = (
        settings.ACCESS_TOKEN_LIFETIME
        < settings.REFRESH_TOKEN_LIFETIME
        <= settings.SESSION_FAMILY_LIFETIME
    )
    if ordered:
        return []
    hint = "Want ACCESS_TOKEN_LIFETIME < REFRESH_TOKEN_LIFETIME <= SESSION_FAMILY_LIFETIME."
    return [Error("The lifetimes of tokens are out of order.", hint, id="accounts.E003")]


def check_key_ring_ttl(**_: Any) -> list[CheckMessage]:
    """Warn where a removed key would be trusted for long."""
    if settings.KEY_RING_TTL.total_seconds() <= LONGEST_KEY_RING_TTL:
        return []
    hint = f"Set KEY_RING_TTL to at most {LONGEST_KEY_RING_TTL} seconds."
    return [checks.Warning("A removed signing key is trusted for long.", hint, id="accounts.W001")]


def check_browser_sessions(**_: Any) -> list[CheckMessage]:
    """Want keys kept as digests, and a place looked up for each signed-in browser."""
    bound = BROWSER_MIDDLEWARE in settings.MIDDLEWARE
    if bound and settings.SESSION_ENGINE == SESSION_STORE:
        return []
    hint = f"Set SESSION_ENGINE to {SESSION_STORE}, and put {BROWSER_MIDDLEWARE} in MIDDLEWARE."
    return [Error("Browser sessions are not bound to places.", hint, id="accounts.E005")]


DEPLOY_CHECKS = (
    check_password_hasher,
    check_token_blacklist,
    check_lifetimes,
    check_key_ring_ttl,
    check_browser_sessions,
)
