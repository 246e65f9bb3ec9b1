"""Signed-in browsers, as the sign-in page leaves them."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest
from django.test import Client

from accounts.models import Amr, RequestContext, SessionFamily, User
from accounts.pages.browser import sign_in_browser
from accounts.pages.session_store import SessionStore

TWO_FACTORS = (Amr.PASSWORD, Amr.OTP, Amr.SEVERAL)
ONE_FACTOR = (Amr.PASSWORD,)


def sign_in(
    client: Client,
    user: User,
    *,
    amr: Sequence[str] = TWO_FACTORS,
    context: RequestContext | None = None,
) -> SessionFamily:
    """Sign a person in who has shown these factors; return the browser's place."""
    request = HttpRequest()
    setattr(request, "context", context or RequestContext())  # noqa: B010 - HttpRequest has none
    request.session = SessionStore(key_of(client))
    place = sign_in_browser(request, user=user, amr=amr)
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(request.session.session_key)
    return place


def key_of(client: Client) -> str | None:
    """Return the session key that the browser holds."""
    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    return cookie.value if cookie else None


def force_login(client: Client, user: User, backend: str | None = None) -> None:
    """Stand in for Django's: its own knows no places, so that nobody would be signed in."""
    sign_in(client, user)


def plant_key(client: Client, key: str | None = None) -> str:
    """Give the browser a session key that somebody knows: this one, or that of a new session."""
    if key is None:
        session = SessionStore()
        session.create()
        key = str(session.session_key)
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    return key
