"""A signed-in browser: what its cookie opens, for how long, and what is kept of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import EndReason, RequestContext, SessionFamily, User
from accounts.pages.browser import person_of
from accounts.pages.middleware import BrowserSessionMiddleware
from accounts.pages.session_store import SessionStore
from tests import browsers, factories
from tests.budgets import is_own

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
IDLE = timedelta(hours=1)
OVERALL = timedelta(hours=24)


@pytest.fixture
def root() -> User:
    return factories.staff()


@pytest.fixture
def place(client: Client, root: User) -> SessionFamily:
    return browsers.sign_in(client, root)


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def is_in_at(client: Client, instant: datetime) -> bool:
    with time_machine.travel(instant, tick=False):
        return is_in(client)


def move(place: SessionFamily, **times: datetime) -> None:
    SessionFamily.objects.filter(pk=place.pk).update(**times)


def test_lives_as_long_as_the_settings_say(place: SessionFamily) -> None:
    assert settings.BROWSER_SESSION_IDLE == IDLE
    assert place.expires_at - place.created_at == settings.BROWSER_SESSION_LIFETIME == OVERALL
    [row] = Session.objects.all()
    assert row.expire_date == place.expires_at


@pytest.mark.parametrize(
    ("late", "open_still"), [(-SECOND, True), (SECOND * 0, False), (SECOND, False)]
)
def test_is_signed_out_after_an_idle_hour(
    client: Client, place: SessionFamily, late: timedelta, open_still: bool
) -> None:
    assert is_in_at(client, place.last_used_at + IDLE + late) is open_still


@pytest.mark.parametrize(
    ("late", "open_still"), [(-SECOND, True), (SECOND * 0, False), (SECOND, False)]
)
def test_is_signed_out_after_a_day_however_busy(
    client: Client, place: SessionFamily, late: timedelta, open_still: bool
) -> None:
    end = place.expires_at
    move(place, last_used_at=end - MINUTE / 2)

    assert is_in_at(client, end + late) is open_still


def test_use_keeps_it_awake_and_is_noted_once_a_minute(
    client: Client, place: SessionFamily
) -> None:
    seen = []
    for seconds in (1, 59, 60, 61, 119, 120):
        assert is_in_at(client, place.created_at + seconds * SECOND)
        place.refresh_from_db()
        seen.append((place.last_used_at - place.created_at).total_seconds())

    assert seen == [0, 0, 60, 60, 60, 120]


def test_notes_where_it_was_last_seen(client: Client, place: SessionFamily) -> None:
    move(place, last_used_at=place.created_at - MINUTE)

    client.get("/admin/", REMOTE_ADDR="192.0.2.9", headers={"User-Agent": "curl/8"})

    place.refresh_from_db()
    assert (place.address, place.user_agent) == ("192.0.2.9", "curl/8")


def test_ends_at_once_with_its_place(client: Client, place: SessionFamily) -> None:
    assert is_in(client)

    SessionFamily.objects.filter(pk=place.pk).end(reason=EndReason.REVOKED, now=timezone.now())

    assert not is_in(client)
    assert not Session.objects.exists()
    assert not client.cookies[settings.SESSION_COOKIE_NAME].value


def test_ends_at_once_with_its_person(client: Client, root: User, place: SessionFamily) -> None:
    User.objects.filter(pk=root.pk).update(is_active=False)

    assert not is_in(client)


def test_ends_with_the_password(client: Client, root: User, place: SessionFamily) -> None:
    root.set_password("another passphrase")
    root.save()

    assert not is_in(client)


def test_survives_a_new_secret_key_under_a_new_session_key(
    client: Client, place: SessionFamily, settings: Any
) -> None:
    key = browsers.key_of(client)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret key, of another day, that is at least 50 long"

    assert is_in(client)
    assert browsers.key_of(client) != key
    settings.SECRET_KEY_FALLBACKS = []
    assert is_in(client)


@pytest.mark.parametrize("name", ["", "nonsense", "0190d2b1f9a07c3e8d4b6a5f00112233"])
def test_opens_nothing_without_its_place(client: Client, place: SessionFamily, name: str) -> None:
    session = SessionStore(browsers.key_of(client))
    session["place"] = name
    session.save()

    assert not is_in(client)


def test_opens_nothing_with_somebody_elses_place(client: Client, place: SessionFamily) -> None:
    bobs = browsers.sign_in(Client(), factories.staff("bob"))
    session = SessionStore(browsers.key_of(client))
    session["place"] = str(bobs.pk)
    session.save()

    assert not is_in(client)


def test_opens_nothing_with_an_apps_place(client: Client, root: User, place: SessionFamily) -> None:
    phone, _ = factories.session_family(root)
    session = SessionStore(browsers.key_of(client))
    session["place"] = str(phone.pk)
    session.save()

    assert not is_in(client)


def test_a_key_from_before_the_sign_in_opens_nothing(client: Client, root: User) -> None:
    """Session fixation."""
    attacker = Client()
    planted = browsers.plant_key(client)
    browsers.plant_key(attacker, planted)

    browsers.sign_in(client, root)

    assert browsers.key_of(client) != planted
    assert (is_in(client), is_in(attacker)) == (True, False)


def test_a_browser_chooses_no_key_of_its_own(client: Client, root: User) -> None:
    browsers.plant_key(client, "a" * 32)

    browsers.sign_in(client, root)

    assert browsers.key_of(client) != "a" * 32


def test_the_key_is_in_no_table(client: Client, place: SessionFamily) -> None:
    is_in(client)

    key = str(browsers.key_of(client))
    models = apps.get_models(include_auto_created=True)
    dump = "\n".join(str(row) for model in models for row in model._default_manager.values())

    assert place.user.username in dump
    assert key not in dump


def test_what_the_table_holds_opens_nothing(client: Client, place: SessionFamily) -> None:
    thief = Client()
    browsers.plant_key(thief, Session.objects.get().session_key)

    assert not is_in(thief)


def test_looks_up_session_and_place_in_one_statement_each(
    client: Client, place: SessionFamily
) -> None:
    request = HttpRequest()
    request.session = SessionStore(browsers.key_of(client))

    with CaptureQueriesContext(connection) as captured:
        assert person_of(request) == place.user
        assert person_of(request) == place.user

    statements = [query["sql"] for query in captured if is_own(query["sql"])]
    assert ["django_session" in sql for sql in statements] == [True, False]


def test_asks_nothing_of_the_database_for_who_brings_no_cookie() -> None:
    request = HttpRequest()
    request.session = SessionStore(None)

    with CaptureQueriesContext(connection) as captured:
        assert person_of(request).is_anonymous

    assert not captured.captured_queries


def test_asynchronous_views_see_the_same(client: Client, place: SessionFamily) -> None:
    def seen() -> Any:
        request = HttpRequest()
        request.session = SessionStore(browsers.key_of(client))
        BrowserSessionMiddleware(lambda _: HttpResponse()).process_request(request)
        return async_to_sync(request.auser)()

    assert seen() == place.user
    SessionFamily.objects.filter(pk=place.pk).end(reason=EndReason.REVOKED, now=timezone.now())
    assert seen().is_anonymous


@pytest.mark.parametrize("secure", [True, False])
def test_flags_of_the_cookie(client: Client, root: User, settings: Any, secure: bool) -> None:
    settings.SESSION_COOKIE_NAME = "__Host-session" if secure else "session"
    settings.SESSION_COOKIE_SECURE = secure
    settings.STAFF_SHOW_SECOND_FACTOR = False
    password = {"username": "staff", "password": factories.PASSWORD}

    cookie = client.post("/admin/login/", password).cookies[settings.SESSION_COOKIE_NAME]

    assert (bool(cookie["secure"]), cookie["httponly"], cookie["samesite"]) == (secure, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert OVERALL - MINUTE < cookie["max-age"] * SECOND <= OVERALL


def test_leaves_no_cookie_but_those_two(client: Client, place: SessionFamily) -> None:
    """What the admin says after an edit stays here: only these two have the `__Host-` prefix."""
    alice = factories.alice()
    names = {"username": "alicia", "email": alice.email, "is_active": "on"}

    client.post(f"/admin/accounts/user/{alice.pk}/change/", names)

    assert set(client.cookies) <= {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}
    assert "was changed successfully" in client.get("/admin/accounts/user/").content.decode()


def test_a_deactivation_that_is_taken_back_opens_no_old_session(
    client: Client, place: SessionFamily
) -> None:
    alice = factories.alice()
    _, pair = factories.session_family(alice)
    names = {"username": "alice", "email": alice.email}

    client.post(f"/admin/accounts/user/{alice.pk}/change/", names)
    client.post(f"/admin/accounts/user/{alice.pk}/change/", names | {"is_active": "on"})

    alice.refresh_from_db()
    assert alice.is_active
    assert client.get("/api/v1/me", headers=factories.bearer(pair.access)).status_code == 401


def test_a_strange_agent_is_no_harm(client: Client, root: User) -> None:
    context = RequestContext("192.0.2.7", "<script>" * 30)
    browsers.sign_in(client, root, context=context)

    page = client.get("/admin/accounts/sessionfamily/").content.decode()

    assert "<script>&lt;" not in page
    assert "Unknown device" in page
