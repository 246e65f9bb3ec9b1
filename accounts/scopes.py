"""Scopes: what a credential opens (RFC 6749 section 3.3).

Meta-scopes and action scopes belong to operation types; their app registers a provider here,
so that accounts never imports it.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from accounts.errors import InvalidScope

PROFILE = "profile"
ACCOUNT = "account"
INTROSPECT = "introspect"
TOKEN_EXCHANGE = "token_exchange"
REDEEM = "redeem"

USER_SCOPES = {
    PROFILE: "Read who you are, and what runs in your name.",
    ACCOUNT: "Read and change your account.",
}
CLIENT_SCOPES = {
    INTROSPECT: "Ask whether a token is active.",
    TOKEN_EXCHANGE: "Exchange an access token for an operation token, and queue it.",
    REDEEM: "Redeem operation tokens.",
}
SCOPES = USER_SCOPES | CLIENT_SCOPES
DEFAULT_SCOPE = f"{PROFILE} {ACCOUNT}"

# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
_ORDER = {name: position for position, name in enumerate(SCOPES)}

MetaScopeProvider = Callable[[], Mapping[str, str]]
"""Returns the meta-scopes that exist now, name to description."""

META_SCOPE_PROVIDERS: list[MetaScopeProvider] = []


def parse_scope(text: str) -> frozenset[str]:
    """Split a scope parameter at its spaces.

    Raises InvalidScope for characters that RFC 6749 does not allow.
    """
    names = frozenset(filter(None, text.split(" ")))
    for name in names:
        if not _SCOPE_TOKEN.fullmatch(name):
            raise InvalidScope(pointer="/scope")
    return names


def format_scope(names: Iterable[str]) -> str:
    """Join scopes for the wire: those of this service first, then the rest by name."""
    return " ".join(sorted(set(names), key=lambda name: (_ORDER.get(name, len(_ORDER)), name)))


def meta_scopes() -> dict[str, str]:
    """Ask every provider which meta-scopes exist now, name to description."""
    found: dict[str, str] = {}
    for provider in META_SCOPE_PROVIDERS:
        found |= provider()
    return found
