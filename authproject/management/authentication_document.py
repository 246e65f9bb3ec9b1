"""docs/authentication.md: every way in, and what ends guessing there.

Addresses come from the URL configuration, limits from the views' throttles, numbers from the
settings' defaults and from the constants that decide; the words are here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from accounts.limits import ANONYMOUS, LIMITS, REFRESH, SIGN_IN, Limit, Window
from accounts.limits.stores import AWAY_FOR
from accounts.models import MOST_FAILURES, LinkPurpose, totp_device
from accounts.models.sign_in_challenge import MOST_TRIES
from accounts.pages.links import PAGES
from accounts.services import (
    begin_federation,
    begin_session,
    claim_attempt,
    draw_link,
    limit_failures,
    refresh_session,
    rotate_api_key,
    send_emails,
)
from accounts.services.write_email import LINK_PAGE, link_slug
from accounts.tokens import assertions
from authproject.env import Environment
from authproject.management.authentication_words import (
    EXAMPLE_PROVIDERS,
    FAILURES,
    FEDERATION,
    INTRO,
    OFFLINE,
    STORES,
    VOLUME,
)
from authproject.management.limited_addresses import Address, addresses

DEFAULTS = Environment({})
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Way:
    """One way in.  names: of its addresses; counted: what ends guessing besides volume."""

    title: str
    names: tuple[str, ...]
    shows: str
    counted: str
    also: tuple[tuple[str, Limit], ...] = ()


PERSON = "password counter, address counter"
CODE = "second-factor counter, address counter"
SECRET = "address counter; the secret has at least 192 random bits"
ASSERTION_MINUTES = assertions.LONGEST_LIFE.seconds // 60
CLIENT_DOORS = "`POST /oauth/token`, `POST /oauth/introspect`, `POST /oauth/revoke`"


def _page_of(purpose: LinkPurpose) -> tuple[tuple[str, Limit], ...]:
    """Return the page behind a link, once for each of its limits."""
    slug = link_slug(purpose)
    return tuple((f"POST {LINK_PAGE}{slug}", limit) for limit in PAGES[slug].limits)


WAYS = (
    Way(
        "Password",
        ("auth-token", "token"),
        "username and password; with an authenticator app on, also `otp`",
        PERSON,
    ),
    Way(
        "Password, then a code",
        ("auth-token-totp",),
        "`mfa_token` of the first step, and a TOTP or recovery code",
        f"{CODE}; {MOST_TRIES} tries a token",
    ),
    Way("Step-up", ("auth-step-up",), "a token, and the password or a code", f"{PERSON}; {CODE}"),
    Way(
        "Refresh",
        ("auth-token-refresh", "token-refresh"),
        "a refresh token",
        "a replay ends the session family",
        (("POST /oauth/token (refresh_token)", REFRESH),),
    ),
    Way(
        "Admin (browser session)",
        (),
        "username, password and, outside development, a code",
        f"{PERSON}; {CODE}",
        (("POST /admin/login/", SIGN_IN),),
    ),
    Way(
        "Another provider",
        ("auth-federation", "auth-federation-begin", "auth-federation-callback"),
        "the provider's answer: state, nonce, PKCE, `iss`; identity = (issuer, subject)",
        "each way there and back once; the second factor is asked for here, too",
    ),
    Way(
        "Registration and its link",
        ("auth-register", "auth-email-verify", "auth-email-resend"),
        "an e-mail address; the link's code",
        SECRET,
        _page_of(LinkPurpose.VERIFY_EMAIL),
    ),
    Way(
        "Forgotten password",
        ("auth-password-reset", "auth-password-reset-confirm"),
        "the link's code, and the code of an authenticator app at the next sign-in",
        SECRET,
        _page_of(LinkPurpose.RESET_PASSWORD),
    ),
    Way(
        '"This wasn\'t me"',
        ("auth-not-me",),
        "the link's code; it only locks",
        SECRET,
        _page_of(LinkPurpose.NOT_ME),
    ),
    Way(
        "Changes to the account",
        (
            "auth-email-change",
            "auth-email-change-confirm",
            "auth-password-change",
            "me-totp",
            "me-api-keys",
            "me-api-key-rotate",
        ),
        "a recent sign-in; for a new address the link's code",
        f"{PERSON}; {CODE}",
        _page_of(LinkPurpose.CHANGE_EMAIL),
    ),
)
MACHINES = (
    ("A person's API key", "the API, to read", "`X-API-Key`", SECRET),
    ("Client: client_secret_basic", f"{CLIENT_DOORS}, the API", "HTTP Basic", SECRET),
    ("Client: client_secret_post", CLIENT_DOORS, "form members", SECRET),
    (
        "Client: private_key_jwt",
        CLIENT_DOORS,
        "an assertion signed by a key of its JWKS",
        f"address counter; each `jti` once, at most {ASSERTION_MINUTES} minutes ahead",
    ),
)


def authentication_document(note: str) -> str:
    """Return the document."""
    parts = [
        f"# Authentication\n\n{note}\n\n{INTRO}",
        f"## Ways in: people\n\n{_ways()}",
        f"## Ways in: machines\n\n{_machines()}",
        f"## Volume limits\n\n{_limits()}",
        f"## Addresses with volume limits\n\n{_limited()}",
        f"## Failure counters\n\n{_failures()}",
        f"## When a store is away\n\n{STORES.format(seconds=int(AWAY_FOR))}",
        f"## Lifetimes\n\n{_lifetimes()}",
        f"## Other providers\n\n{FEDERATION.format(example=EXAMPLE_PROVIDERS)}",
        f"## What verifiers elsewhere see\n\n{OFFLINE.format(access=_access())}",
    ]
    return "\n\n".join(parts) + "\n"


def _ways() -> str:
    found = {address.name: address for address in addresses()}
    rows = []
    for way in WAYS:
        doors = [_door(found[name]) for name in way.names]
        doors += [f"`{door}`: {_short(limit)}" for door, limit in way.also]
        rows.append((way.title, way.shows, "<br>".join(doors), way.counted))
    return _table(("way", "what is shown", "where: volume limits", "what ends guessing"), rows)


def _machines() -> str:
    return _table(("way", "where", "how", "what ends guessing"), MACHINES)


def _door(address: Address) -> str:
    limits = "; ".join(_short(limit) for limit in address.limits)
    return f"`{address}`: {limits or 'none'}"


def _limits() -> str:
    rows = [
        (
            limit.name,
            f"`{limit.setting}`",
            _numbers(limit),
            "address",
            "Redis (`CACHE_URL`), else the database",
            ", ".join(f"{window.stricter}" for window in _windows(limit)),
            limit.guards,
        )
        for limit in LIMITS
    ]
    head = ("limit", "setting", "default", "key", "store", "Redis away", "guards")
    return f"{VOLUME}\n\n{_table(head, rows)}"


def _limited() -> str:
    rows = [
        (f"`{address}`", ", ".join(limit.name for limit in address.limits))
        for address in addresses()
        if address.limits
    ]
    rows += [(f"`{door}`", limit.name) for way in WAYS for door, limit in way.also]
    return (
        f"`{ANONYMOUS.name}` counts all requests without a credential together.\n\n"
        f"{_table(('address', 'limits'), rows)}"
    )


def _failures() -> str:
    free, longest = claim_attempt.FREE_FAILURES, _span(claim_attempt.LONGEST_WAIT)
    known = _span(claim_attempt.REMEMBERED)
    soft = f"strangers wait from the {free}th, 1 second, doubling up to {longest}"
    disabled = f"disabled by the {MOST_FAILURES}th in a row; {soft}"
    most, hour = limit_failures.MOST_FAILURES_OF_ADDRESS, _span(limit_failures.FAILURES_WINDOW)
    unasked, window = send_emails.MOST_UNASKED, _span(send_emails.WINDOW)
    rows = [
        ("password", disabled, "person", "the right password, a reset, staff"),
        ("second factor", disabled, "person; app and recovery codes", "a right code, staff"),
        ("mfa_token", f"{MOST_TRIES} wrong codes", "one sign-in", "signing in again"),
        ("address", f"{most} in {hour}, then 429", "address, across accounts", "the hour's end"),
        ("unasked mail", f"{unasked} in {window}", "kind; mailbox", "the window's end"),
    ]  # fmt: skip
    words = FAILURES.format(known=known, most=MOST_FAILURES)
    return f"{words}\n\n{_table(('counter', 'limit', 'key', 'what ends it'), rows)}"


def _lifetimes() -> str:
    links, days = draw_link.LIFETIMES, DEFAULTS.integer("API_KEY_MAX_DAYS")
    rows = [
        ("Access token", _setting("ACCESS_TOKEN_LIFETIME"), "`ACCESS_TOKEN_LIFETIME`"),
        ("Refresh token", _setting("REFRESH_TOKEN_LIFETIME"), "`REFRESH_TOKEN_LIFETIME`"),
        ("Same refresh token again, unused successor", _span(refresh_session.GRACE), ""),
        ("Mobile session family", _setting("SESSION_FAMILY_LIFETIME"), "`SESSION_FAMILY_LIFETIME`"),
        ("Browser session, unused", _setting("BROWSER_SESSION_IDLE"), "`BROWSER_SESSION_IDLE`"),
        ("Browser session", _setting("BROWSER_SESSION_LIFETIME"), "`BROWSER_SESSION_LIFETIME`"),
        ("Sign-in counts as recent", _setting("FRESH_AUTHENTICATION"), "`FRESH_AUTHENTICATION`"),
        ("`mfa_token`", _span(begin_session.CHALLENGE_LIFETIME), ""),
        ("Authenticator app, begun and not confirmed", _span(totp_device.SETUP_LIFETIME), ""),
        ("Way to a provider and back", _span(begin_federation.LIFETIME), ""),
        *((f"Link: {purpose.label.lower()}", _span(life), "") for purpose, life in links.items()),
        ("A person's API key, at most", f"{days} days", "`API_KEY_MAX_DAYS`"),
        ("Replaced API key, at most", _span(rotate_api_key.LONGEST_OVERLAP), ""),
    ]  # fmt: skip
    return _table(("what", "lives", "setting"), rows)


def _access() -> str:
    return _setting("ACCESS_TOKEN_LIFETIME")


def _windows(limit: Limit) -> list[Window]:
    return [Window(*rate) for rate in DEFAULTS.rates(limit.setting)]


def _numbers(limit: Limit) -> str:
    return ", ".join(str(window) for window in _windows(limit))


def _short(limit: Limit) -> str:
    return f"{limit.name} {_numbers(limit)}"


def _setting(name: str) -> str:
    return _span(DEFAULTS.seconds(name))


def _span(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    size, unit = next((size, unit) for size, unit in UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
