"""POST /api/v1/auth/password/change."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.errors import LinkNotValid
from accounts.models import (
    MOST_FAILURES,
    Authenticator,
    AuthenticatorKind,
    LinkPurpose,
    SecurityEvent,
    SessionFamily,
    SignInChallenge,
    TotpDevice,
    User,
)
from accounts.services import change_password
from accounts.services.change_email import ask_for_email_change, confirm_email_change
from accounts.services.draw_link import draw_link, find_link
from tests import factories
from tests.factories import PASSWORD, bearer
from tests.mailbox import code_sent, sent, subjects

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/password/change"
NEW = "an even longer passphrase"


@pytest.fixture
def alice() -> User:
    return factories.alice()


def change(client: Client, token: str, current: str = PASSWORD, new: str = NEW) -> Any:
    body = {"current_password": current, "new_password": new}
    return client.post(URL, body, content_type="application/json", headers=bearer(token))


def is_password(user: User, password: str) -> bool:
    user.refresh_from_db()
    return user.check_password(password)


def test_changes_the_password_and_tells_the_mailbox(client: Client, alice: User) -> None:
    answer = change(client, factories.access_token_for(alice))

    assert answer.status_code == 204
    assert is_password(alice, NEW)
    assert SecurityEvent.objects.filter(code="password_changed", user=alice).count() == 1
    assert subjects(to=alice.email) == ["Your password was changed"]


def test_the_same_password_is_no_change(client: Client, alice: User) -> None:
    answer = change(client, factories.access_token_for(alice), new=PASSWORD)

    assert answer.json()["errors"][0]["code"] == "password_unchanged"
    assert not SecurityEvent.objects.filter(code="password_changed").exists()


def test_ends_every_place_but_the_one_that_asked(client: Client, alice: User) -> None:
    here, pair = factories.session_family(alice)
    factories.session_family(alice)
    bobs, _ = factories.session_family(factories.bob())

    change(client, pair.access)

    live = SessionFamily.objects.live(timezone.now())
    assert set(live) == {here, bobs}
    assert client.get("/api/v1/me", headers=bearer(pair.access)).status_code == 200


def test_ends_browser_sessions(client: Client, alice: User) -> None:
    browser = alice.get_session_auth_hash()

    change(client, factories.access_token_for(alice))

    alice.refresh_from_db()
    assert alice.get_session_auth_hash() != browser


def test_ends_changes_of_address_that_an_intruder_has_asked_for(
    client: Client, alice: User
) -> None:
    ask_for_email_change(by=alice, email="mallory@example.org")
    code = code_sent(to="mallory@example.org")
    ask_for_email_change(by=alice, email="mallory@example.net")

    change(client, factories.access_token_for(alice))

    assert sent(to="mallory@example.net") == []
    with pytest.raises(LinkNotValid):
        confirm_email_change(token=code)


def test_ends_sign_ins_that_are_half_done(client: Client, alice: User) -> None:
    later = timezone.now() + timedelta(minutes=5)
    SignInChallenge.objects.create(token_digest="0" * 64, user=alice, expires_at=later)

    change(client, factories.access_token_for(alice))

    assert SignInChallenge.objects.get().spent_at is not None


def test_voids_links_that_would_reset_it(client: Client, alice: User) -> None:
    links: dict[str, Any] = {"user": alice, "email": alice.email, "told_in": 1}
    now = timezone.now()
    reset = draw_link(purpose=LinkPurpose.RESET_PASSWORD, **links, now=now)
    not_me = draw_link(purpose=LinkPurpose.NOT_ME, **links, now=now)

    change(client, factories.access_token_for(alice))

    assert find_link(purpose=LinkPurpose.RESET_PASSWORD, token=reset, now=now) is None
    assert find_link(purpose=LinkPurpose.NOT_ME, token=not_me, now=now) is not None


def test_writes_over_no_change_that_came_first(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_first(**_: object) -> None:
        other = User.objects.get(pk=alice.pk)
        other.set_password("a passphrase of another browser")
        other.save()

    token = factories.access_token_for(alice)
    monkeypatch.setattr(change_password, "check_new_password", change_first)

    assert change(client, token).json()["code"] == "invalid_credentials"
    assert is_password(alice, "a passphrase of another browser")


def test_wants_the_current_password(client: Client, alice: User) -> None:
    answer = change(client, factories.access_token_for(alice), current="not this one")

    assert answer.json()["code"] == "invalid_credentials"
    assert is_password(alice, PASSWORD)
    assert sent() == []


def test_guesses_count_as_those_of_a_sign_in(client: Client, alice: User) -> None:
    token = factories.access_token_for(alice)
    change(client, token, current="not this one")
    assert Authenticator.objects.get(user=alice).failures == 1

    Authenticator.objects.update(failures=MOST_FAILURES)

    assert change(client, token).json()["code"] == "invalid_credentials"
    assert is_password(alice, PASSWORD)


def test_a_right_password_forgives(client: Client, alice: User) -> None:
    kind = AuthenticatorKind.PASSWORD
    Authenticator.objects.create(user=alice, kind=kind, failures=3)

    change(client, factories.access_token_for(alice))

    assert Authenticator.objects.get(user=alice).failures == 0


def test_refuses_a_bad_password_and_says_which(client: Client, alice: User) -> None:
    answer = change(client, factories.access_token_for(alice), new="too short")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/new_password"
    assert is_password(alice, PASSWORD)


def test_who_has_an_app_shows_a_code_first(client: Client, alice: User) -> None:
    device = TotpDevice(user=alice, confirmed=True)
    device.set_key(b"k" * 20)
    device.save()

    answer = change(client, factories.access_token_for(alice))

    assert answer.json()["code"] == "insufficient_user_authentication"
    assert answer.json()["acr_values"] == "aal2"
    assert is_password(alice, PASSWORD)


def test_who_has_none_proves_it_with_the_password(
    client: Client, alice: User, settings: Any
) -> None:
    settings.FRESH_AUTHENTICATION = timedelta(0)

    assert change(client, factories.access_token_for(alice)).status_code == 204


def test_wants_the_scope_and_a_person(client: Client, alice: User) -> None:
    profile = factories.access_token_for(alice, scope="profile")

    assert change(client, profile).json()["code"] == "insufficient_scope"
    assert change(client, "nothing").status_code == 401


def test_normalises_as_sign_in_does(client: Client, alice: User) -> None:
    change(client, factories.access_token_for(alice), new="ﬁne passphrase №  twelve")

    assert is_password(alice, "fine passphrase No  twelve")
