"""`/api/v1/me/sessions`: one's own places, in browsers and apps, and how they are ended."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.errors import LinkNotValid
from accounts.ids import new_id, public_id
from accounts.models import RequestContext, SecurityEvent, SessionFamily, User
from accounts.services.change_email import ask_for_email_change, confirm_email_change
from tests import browsers, factories
from tests.budgets import ROWS, budget, multiply
from tests.mailbox import code_sent, sent
from tests.races import at_once
from tests.rest import Caller, code_of, person, same_words

pytestmark = pytest.mark.django_db

SESSIONS = "/api/v1/me/sessions"
FIREFOX = "Mozilla/5.0 (Android 14; Mobile; rv:124.0) Gecko/124.0 Firefox/124.0"
PHONE = RequestContext("192.0.2.7", FIREFOX, "request-1")


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def caller(alice: User) -> Caller:
    return person(alice, scope="profile account")


def listed(caller: Caller) -> list[dict[str, Any]]:
    answer = caller.get(SESSIONS)
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def delete(caller: Caller, place: SessionFamily | str) -> Any:
    name = place if isinstance(place, str) else place.public_id
    return caller.client.delete(f"{SESSIONS}/{name}", headers=caller.headers)


def test_lists_browsers_and_apps_newest_first(alice: User, caller: Caller) -> None:
    phone = SessionFamily.objects.get()
    browser = browsers.sign_in(Client(), alice, context=PHONE)

    first, second = listed(caller)

    assert [first["id"], second["id"]] == [browser.public_id, phone.public_id]
    assert [first["kind"], second["kind"]] == ["browser", "mobile"]
    assert [first["current"], second["current"]] == [False, True]


def test_tells_what_a_person_can_know_a_place_by(alice: User, caller: Caller) -> None:
    place = browsers.sign_in(Client(), alice, context=PHONE)

    shown = listed(caller)[0]

    times = {name: shown.pop(name) for name in ("created_at", "last_seen_at", "expires_at")}
    assert all(text.endswith("Z") for text in times.values())
    assert shown == {
        "id": place.public_id,
        "kind": "browser",
        "device": "Firefox on Android",
        "address": "192.0.2.7",
        "acr": "aal2",
        "amr": ["pwd", "otp", "mfa"],
        "current": False,
    }


def test_leaves_out_what_opens_nothing_any_more(alice: User, caller: Caller) -> None:
    now = timezone.now()
    ended, run_out, idle = (browsers.sign_in(Client(), alice) for _ in range(3))
    SessionFamily.objects.filter(pk=ended.pk).update(ended_at=now, end_reason="logout")
    SessionFamily.objects.filter(pk=run_out.pk).update(
        created_at=now - settings.BROWSER_SESSION_LIFETIME, expires_at=now
    )
    SessionFamily.objects.filter(pk=idle.pk).update(
        last_used_at=now - settings.BROWSER_SESSION_IDLE
    )

    assert [place["kind"] for place in listed(caller)] == ["mobile"]


def test_comes_in_pages(alice: User, caller: Caller) -> None:
    browsers.sign_in(Client(), alice)

    page = caller.get(SESSIONS, page_size="1").json()
    rest = caller.client.get(page["next"], headers=caller.headers).json()

    assert [len(page["results"]), len(rest["results"]), rest["next"]] == [1, 1, None]


@pytest.mark.parametrize("rows", ROWS)
def test_needs_two_statements_however_many_there_are(caller: Caller, rows: int) -> None:
    """One for the credential, one for the page."""
    multiply(SessionFamily.objects.get(), rows, unique={})

    with budget(2):
        answer = caller.get(SESSIONS)

    assert len(answer.json()["results"]) == min(rows + 1, 50)


def test_shows_nobody_elses(caller: Caller) -> None:
    browsers.sign_in(Client(), factories.bob())

    assert len(listed(caller)) == 1


def test_ends_one(alice: User, caller: Caller) -> None:
    browser = Client()
    place = browsers.sign_in(browser, alice)

    assert delete(caller, place).status_code == 204

    place.refresh_from_db()
    assert place.end_reason == "logout"
    assert browser.get("/admin/").status_code == 302
    assert SecurityEvent.objects.filter(code="session_ended", user=alice).count() == 1


def test_ends_somebody_elses_as_little_as_what_is_not_there(caller: Caller) -> None:
    place = browsers.sign_in(Client(), factories.bob())

    strange = [
        delete(caller, place),
        delete(caller, public_id("ses", new_id())),
        delete(caller, "x"),
    ]

    assert [code_of(answer) for answer in strange] == [(404, "not_found")] * 3
    first, *others = (same_words(answer.json()) for answer in strange)
    assert all(other == first for other in others)
    assert SessionFamily.objects.not_ended().filter(pk=place.pk).exists()


def test_ends_none_twice(alice: User, caller: Caller) -> None:
    place = browsers.sign_in(Client(), alice)

    assert [delete(caller, place).status_code for _ in range(2)] == [204, 404]


def test_ends_itself(caller: Caller) -> None:
    assert delete(caller, SessionFamily.objects.get()).status_code == 204

    assert caller.get(SESSIONS).status_code == 401


def test_ends_all_others(alice: User, caller: Caller) -> None:
    bobs = browsers.sign_in(Client(), factories.bob())
    browser = Client()
    browsers.sign_in(browser, alice)
    _, pair = factories.session_family(alice)

    answer = caller.post(f"{SESSIONS}/end-others")

    assert (answer.status_code, answer.json()) == (200, {"ended": 2})
    assert [place["current"] for place in listed(caller)] == [True]
    assert caller.client.get("/api/v1/me", headers=factories.bearer(pair.access)).status_code == 401
    assert SessionFamily.objects.not_ended().filter(pk=bobs.pk).exists()


def test_ends_all(alice: User, caller: Caller) -> None:
    bobs = browsers.sign_in(Client(), factories.bob())
    browsers.sign_in(Client(), alice)

    answer = caller.post(f"{SESSIONS}/end-all")

    assert (answer.status_code, answer.json()) == (200, {"ended": 2})
    assert caller.get(SESSIONS).status_code == 401
    assert list(SessionFamily.objects.not_ended()) == [bobs]


@pytest.mark.parametrize("which", ["end-others", "end-all"])
def test_an_intruder_who_is_signed_out_takes_no_address_along(
    alice: User, caller: Caller, which: str
) -> None:
    ask_for_email_change(by=alice, email="mallory@example.org")
    code = code_sent(to="mallory@example.org")
    ask_for_email_change(by=alice, email="mallory@example.net")

    assert caller.post(f"{SESSIONS}/{which}").status_code == 200

    assert sent(to="mallory@example.net") == []
    with pytest.raises(LinkNotValid):
        confirm_email_change(token=code)


@pytest.mark.parametrize("scope", ["profile", "savings profile"])
def test_a_token_that_left_the_persons_own_apps_does_nothing(alice: User, scope: str) -> None:
    caller = person(alice, scope=scope)

    answers = [
        caller.get(SESSIONS),
        delete(caller, SessionFamily.objects.get()),
        caller.post(f"{SESSIONS}/end-others"),
        caller.post(f"{SESSIONS}/end-all"),
    ]

    assert [code_of(answer) for answer in answers] == [(403, "insufficient_scope")] * 4
    assert SessionFamily.objects.not_ended().count() == 1


def test_says_when_offline_verifiers_know() -> None:
    paths = Client().get("/api/v1/schema", {"format": "json"}).json()["paths"]

    ends = [
        paths[f"{SESSIONS}/{{public_id}}"]["delete"],
        paths[f"{SESSIONS}/end-others"]["post"],
        paths[f"{SESSIONS}/end-all"]["post"],
    ]

    for operation in ends:
        words = " ".join(operation["description"].split())
        assert "refused here at once" in words
        assert "within 15 minutes" in words


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.race
def test_two_requests_end_one_session_once() -> None:
    alice = factories.alice()
    callers = [person(alice, scope="profile account") for _ in range(2)]

    for _ in range(20):
        place = browsers.sign_in(Client(), alice)
        answers = at_once(*[partial(delete, caller, place) for caller in callers])
        assert sorted(answer.status_code for answer in answers) == [204, 404]

    assert SecurityEvent.objects.filter(code="session_ended").count() == 20
