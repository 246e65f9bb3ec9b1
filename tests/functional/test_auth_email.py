"""POST /api/v1/auth/email/…: showing that an address is one's own, and changing it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import OneTimeLink, SecurityEvent, User
from tests import factories
from tests.factories import bearer
from tests.mailbox import code_in, code_sent, sent, subjects

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/email"
NEW = "new@example.org"


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def unverified() -> User:
    person = factories.user("carol")
    User.objects.filter(pk=person.pk).update(email_verified_at=None)
    return person


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(f"{URL}/{path}", body, content_type="application/json", headers=headers)


def resend(client: Client, email: str) -> Any:
    return post(client, "resend", {"email": email})


def verify(client: Client, token: str) -> int:
    return int(post(client, "verify", {"token": token}).status_code)


def ask(client: Client, person: User, email: str = NEW) -> Any:
    return post(client, "change", {"email": email}, **bearer(factories.access_token_for(person)))


def confirm(client: Client, token: str) -> Any:
    return post(client, "change/confirm", {"token": token})


def address_of(person: User) -> str:
    person.refresh_from_db()
    return person.email


def test_a_link_verifies_the_address_once(client: Client, unverified: User) -> None:
    assert resend(client, unverified.email).status_code == 202
    code = code_sent(to=unverified.email)

    assert [verify(client, code), verify(client, code)] == [204, 400]
    unverified.refresh_from_db()
    assert unverified.email_verified_at is not None
    assert SecurityEvent.objects.filter(code="email_verified", user=unverified).count() == 1


def test_a_second_link_verifies_nothing_more(client: Client, unverified: User) -> None:
    resend(client, unverified.email)
    resend(client, unverified.email)
    first, second = (code_in(each) for each in sent(to=unverified.email))
    verify(client, first)
    unverified.refresh_from_db()
    since = unverified.email_verified_at

    assert verify(client, second) == 204

    unverified.refresh_from_db()
    assert unverified.email_verified_at == since
    assert SecurityEvent.objects.filter(code="email_verified").count() == 1


def test_a_link_verifies_no_other_address(client: Client, unverified: User) -> None:
    resend(client, unverified.email)
    code = code_sent(to=unverified.email)
    User.objects.update(email="other@example.org")

    assert verify(client, code) == 400
    unverified.refresh_from_db()
    assert unverified.email_verified_at is None


def test_a_link_verifies_for_a_day(client: Client, unverified: User) -> None:
    resend(client, unverified.email)
    code = code_sent(to=unverified.email)
    link = OneTimeLink.objects.get()
    assert link.expires_at - link.created_at == timedelta(days=1)
    OneTimeLink.objects.update(expires_at=timezone.now())

    assert verify(client, code) == 400


def test_resending_answers_everybody_alike(client: Client, alice: User, unverified: User) -> None:
    answers = [resend(client, e) for e in (alice.email, unverified.email, "nobody@example.org")]

    assert {(each.status_code, each.content) for each in answers} == {(202, b"")}
    assert [each.to for each in sent()] == [[unverified.email]]


def test_the_former_address_stays_until_the_new_one_is_confirmed(
    client: Client, alice: User
) -> None:
    assert ask(client, alice).status_code == 202
    assert address_of(alice) == "alice@example.org"

    assert confirm(client, code_sent(to=NEW)).status_code == 204

    assert address_of(alice) == NEW
    assert alice.email_verified_at is not None
    assert User.objects.get(email_folded="NEW@example.org") == alice
    assert subjects(to="alice@example.org") == ["Your e-mail address was changed"]


def test_a_change_is_confirmed_once(client: Client, alice: User) -> None:
    ask(client, alice)
    code = code_sent(to=NEW)
    confirm(client, code)

    assert confirm(client, code).json()["code"] == "link_not_valid"


def test_somebody_elses_address_gets_the_same_answer(client: Client, alice: User) -> None:
    factories.bob()

    answer, other = ask(client, alice, "BOB@example.org"), ask(client, alice)

    assert (answer.status_code, answer.content) == (other.status_code, other.content)
    assert subjects(to="bob@example.org") == ["You have an account already"]
    assert not OneTimeLink.objects.filter(email__startswith="bob").exists()


def test_an_address_taken_meanwhile_is_refused(client: Client, alice: User) -> None:
    ask(client, alice)
    code = code_sent(to=NEW)
    factories.user("bob", email="New@example.org")

    assert confirm(client, code).json()["code"] == "link_not_valid"
    assert address_of(alice) == "alice@example.org"


def test_an_inactive_person_changes_nothing(client: Client, alice: User) -> None:
    ask(client, alice)
    code = code_sent(to=NEW)
    User.objects.update(is_active=False)

    assert confirm(client, code).status_code == 400
    assert address_of(alice) == "alice@example.org"


def test_a_change_wants_a_recent_sign_in(client: Client, alice: User, settings: Any) -> None:
    settings.FRESH_AUTHENTICATION = timedelta(0)

    answer = ask(client, alice)

    assert answer.status_code == 401
    assert answer.json()["code"] == "insufficient_user_authentication"
    assert sent() == []


def test_a_change_wants_the_scope(client: Client, alice: User) -> None:
    token = factories.access_token_for(alice, scope="profile")

    assert post(client, "change", {"email": NEW}, **bearer(token)).status_code == 403


@pytest.mark.parametrize("path", ["resend", "change"])
@pytest.mark.parametrize(
    "email",
    ["", "x", "a@b", "a@example.org\r\nBcc: b@example.org", '"a\x0c\x0cb"@example.org', 7],
)
def test_refuses_what_is_no_address(client: Client, alice: User, path: str, email: Any) -> None:
    answer = post(client, path, {"email": email}, **bearer(factories.access_token_for(alice)))

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/email"


def test_a_registration_can_be_verified(client: Client) -> None:
    body = {"username": "dave", "email": "dave@example.org", "password": factories.PASSWORD}
    client.post("/api/v1/auth/register", body, content_type="application/json")

    assert verify(client, code_sent(to="dave@example.org")) == 204
