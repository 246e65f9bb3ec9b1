"""Staff show a second factor: with the password, or on the page that asks for it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import SecurityEvent, SessionFamily, User
from accounts.pages.session_store import SessionStore
from tests import browsers, factories

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"
PASSWORD = {"username": "staff", "password": factories.PASSWORD}


@pytest.fixture
def code() -> Callable[..., str]:
    """A member of staff has an authenticator app; return what makes its codes."""
    return factories.totp_device(factories.staff())[1]


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def errors(answer: Any) -> list[str]:
    return [error.code for error in answer.context["form"].non_field_errors().as_data()]


def test_password_and_code_at_once(client: Client, code: Callable[..., str]) -> None:
    assert client.post(LOGIN, PASSWORD | {"otp": code()}).status_code == 302

    assert is_in(client)
    place = SessionFamily.objects.get()
    assert (place.kind, place.acr, place.amr) == ("browser", "aal2", ["pwd", "otp", "mfa"])


def test_the_code_on_its_own_page(client: Client, code: Callable[..., str]) -> None:
    asked = client.post(LOGIN, PASSWORD)

    assert (errors(asked), is_in(client)) == (["otp_required"], False)
    assert 'autocomplete="one-time-code"' in asked.content.decode()
    assert 'inputmode="numeric"' in asked.content.decode()
    assert 'type="password"' not in asked.content.decode()
    assert client.post(LOGIN, {"otp": code()}).status_code == 302
    assert is_in(client)
    assert "halfway" not in SessionStore(browsers.key_of(client))


def test_to_be_asked_for_the_code_is_no_error(client: Client, code: Callable[..., str]) -> None:
    asked, wrong = client.post(LOGIN, PASSWORD), client.post(LOGIN, {"otp": "000000"})

    pages = [answer.content.decode() for answer in (asked, wrong)]
    assert ["Error:" in page for page in pages] == [False, True]
    assert ["errornote" in page for page in pages] == [False, True]
    assert all("autofocus" in page for page in pages)


def test_a_step_up_uses_the_password_up_too(client: Client, code: Callable[..., str]) -> None:
    browsers.sign_in(client, User.objects.get(), amr=browsers.ONE_FACTOR)
    client.post(LOGIN, PASSWORD)
    client.post(LOGIN, {"otp": code()})

    again = client.post(LOGIN, {"otp": code(steps=1)})

    assert again.status_code == 200
    assert SecurityEvent.objects.filter(code="stepped_up").count() == 1


def test_asks_again_after_a_wrong_code(client: Client, code: Callable[..., str]) -> None:
    wrong = client.post(LOGIN, PASSWORD | {"otp": "000000"})
    again = client.post(LOGIN, {"otp": "000000"})

    assert (errors(wrong), errors(again)) == (["invalid_otp"], ["invalid_otp"])
    assert not is_in(client)
    assert client.post(LOGIN, {"otp": code()}).status_code == 302


@pytest.mark.parametrize("otp", ["", "000000"])
def test_tells_nothing_to_who_does_not_know_the_password(
    client: Client, code: Callable[..., str], otp: str
) -> None:
    factories.staff("other")  # has no authenticator app

    answers = [
        client.post(LOGIN, {"username": name, "password": "mistyped", "otp": otp})
        for name in ("staff", "other", "nobody")
    ]

    assert [errors(answer) for answer in answers] == [["invalid_login"]] * 3
    assert len({answer.content.count(b"otp") for answer in answers}) == 1
    reasons = {event.data["reason"] for event in SecurityEvent.objects.all()}
    assert reasons == {"wrong_password", "unknown_user"}


def test_a_code_alone_opens_nothing(client: Client, code: Callable[..., str]) -> None:
    client.post(LOGIN, {"otp": code()})

    assert not is_in(client)


def test_forgets_the_password_after_five_minutes(client: Client, code: Callable[..., str]) -> None:
    client.post(LOGIN, PASSWORD)

    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        client.post(LOGIN, {"otp": code()})

    assert not is_in(client)


def test_forgets_a_password_that_was_changed(client: Client, code: Callable[..., str]) -> None:
    client.post(LOGIN, PASSWORD)
    root = User.objects.get()
    root.set_password("another passphrase")
    root.save()

    client.post(LOGIN, {"otp": code()})

    assert not is_in(client)


def test_a_key_planted_before_is_worth_nothing(client: Client, code: Callable[..., str]) -> None:
    """Session fixation: the attacker knows the key that the victim's browser began with."""
    attacker = Client()
    planted = browsers.plant_key(client)
    browsers.plant_key(attacker, planted)

    client.post(LOGIN, PASSWORD)
    halfway = browsers.key_of(client)
    attacker.post(LOGIN, {"otp": code()})
    client.post(LOGIN, {"otp": code(steps=1)})

    assert is_in(client)
    assert not is_in(attacker)
    assert len({planted, halfway, browsers.key_of(client)}) == 3


def test_staff_without_an_app_stay_out(client: Client) -> None:
    factories.staff()

    answer = client.post(LOGIN, PASSWORD)

    assert errors(answer) == ["no_second_factor"]
    assert not is_in(client)
    event = SecurityEvent.objects.get(code="sign_in_refused")
    assert event.data == {"reason": "no_second_factor"}


def test_staff_without_an_app_come_in_in_development(client: Client, settings: Any) -> None:
    settings.STAFF_SHOW_SECOND_FACTOR = False
    factories.staff()

    assert client.post(LOGIN, PASSWORD).status_code == 302
    assert is_in(client)


def test_a_place_of_one_factor_opens_no_admin(client: Client) -> None:
    """However that person signed in: the admin itself asks for the level."""
    browsers.sign_in(client, factories.staff(), amr=browsers.ONE_FACTOR)

    assert not is_in(client)


def test_signing_in_again_is_a_step_up_of_the_same_place(
    client: Client, code: Callable[..., str]
) -> None:
    place = browsers.sign_in(client, User.objects.get(), amr=browsers.ONE_FACTOR)
    old, thief = browsers.key_of(client), Client()
    browsers.plant_key(thief, old)

    client.post(LOGIN, PASSWORD | {"otp": code()})

    now = SessionFamily.objects.get()
    assert (now.pk, now.acr, now.expires_at) == (place.pk, "aal2", place.expires_at)
    assert now.auth_time > place.auth_time
    assert browsers.key_of(client) != old
    assert (is_in(client), is_in(thief)) == (True, False)
    assert SecurityEvent.objects.filter(code="stepped_up").count() == 1


def test_somebody_else_ends_the_place_before(client: Client, code: Callable[..., str]) -> None:
    first = browsers.sign_in(client, factories.staff("other"))

    client.post(LOGIN, PASSWORD | {"otp": code()})

    first.refresh_from_db()
    assert first.end_reason == "logout"
    assert SessionFamily.objects.not_ended().get().user.username == "staff"


def test_signing_out_ends_the_place(client: Client) -> None:
    browsers.sign_in(client, factories.staff())
    key, thief = browsers.key_of(client), Client()
    browsers.plant_key(thief, key)

    assert client.post("/admin/logout/").status_code == 200

    assert SessionFamily.objects.get().end_reason == "logout"
    assert (is_in(client), is_in(thief)) == (False, False)


def test_a_sign_out_from_elsewhere_ends_nothing(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    browsers.sign_in(strict, factories.staff())

    assert strict.post("/admin/logout/").status_code == 403
    assert SessionFamily.objects.not_ended().exists()


@pytest.mark.parametrize(
    ("wanted", "target"),
    [("/admin/accounts/user/", "/admin/accounts/user/"), ("https://evil.example/", "/admin/")],
)
def test_goes_on_to_where_one_wanted_to_go_here(
    client: Client, code: Callable[..., str], wanted: str, target: str
) -> None:
    client.post(LOGIN, PASSWORD | {"next": wanted})

    answer = client.post(LOGIN, {"otp": code(), "next": wanted})

    assert answer.headers["Location"] == target
