"""The table of volume limits; docs/authentication.md is written from it."""

import ipaddress
from dataclasses import dataclass, replace

from django.conf import settings

from accounts.models import RequestContext

UNITS = {86_400: "d", 3_600: "h", 60: "m", 1: "s"}


@dataclass(frozen=True, slots=True)
class Window:
    """So many tries in so many seconds."""

    tries: int
    seconds: int

    @property
    def stricter(self) -> "Window":
        """Half of it, at least one try: for the time that the usual store is away."""
        return replace(self, tries=max(1, self.tries // 2))

    def __str__(self) -> str:
        return f"{self.tries}/{self.span}"

    @property
    def span(self) -> str:
        """Its length as settings write it: `h`, `5m`."""
        seconds = next(unit for unit in UNITS if self.seconds % unit == 0)
        count = self.seconds // seconds
        return f"{count if count > 1 else ''}{UNITS[seconds]}"


@dataclass(frozen=True, slots=True)
class Limit:
    """How often one address may do one kind of thing.

    setting: where its windows stand; guards: what it is for, as the documents say it.
    """

    name: str
    setting: str
    guards: str = ""

    @property
    def windows(self) -> list[Window]:
        """Its windows, the shortest first."""
        windows = (Window(tries, seconds) for tries, seconds in getattr(settings, self.setting))
        return sorted(windows, key=lambda window: window.seconds)

    def policy_of(self, window: Window) -> str:
        """Name one of the windows, as the RateLimit fields do."""
        return self.name if len(self.windows) == 1 else f"{self.name}-{window.span}"


ANONYMOUS = Limit(
    "anonymous",
    "RATE_LIMIT_ANONYMOUS",
    "what anybody may ask for without a credential",
)
SIGN_IN = Limit(
    "sign-in",
    "RATE_LIMIT_SIGN_IN",
    "tries to sign in, by any factor, here and in the admin",
)
EXPENSIVE = Limit(
    "expensive",
    "RATE_LIMIT_EXPENSIVE",
    "what sends an e-mail, or hashes a password that is being set",
)
REFRESH = Limit("refresh", "RATE_LIMIT_REFRESH", "refreshing a session")

LIMITS = (ANONYMOUS, SIGN_IN, EXPENSIVE, REFRESH)


def caller_of(context: RequestContext) -> str:
    """Name whom a try counts for: an address, of IPv6 the /64 that one customer has."""
    try:
        address = ipaddress.ip_address(context.address)
    except ValueError:
        return ""
    length = 32 if address.version == 4 else 64
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))
