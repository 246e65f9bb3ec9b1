"""POST /api/v1/auth/not-me: whoever says that it was not them stops everything."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import (
    ApiKey,
    EmailKind,
    OneTimeLink,
    OutgoingEmail,
    SecurityEvent,
    SessionFamily,
    User,
)
from accounts.services import send_emails
from accounts.services.change_email import ask_for_email_change, confirm_email_change
from accounts.services.freeze_account import freeze_account
from accounts.services.queue_email import queue_email
from accounts.services.reset_password import ask_for_reset
from tests import factories
from tests.factories import bearer
from tests.mailbox import code_in, code_sent, sent

pytestmark = pytest.mark.django_db
HOME = "alice@example.org"
INTRUDER = "mallory@example.org"


@pytest.fixture
def alice() -> User:
    return factories.alice()


def say(client: Client, token: str) -> Any:
    url = "/api/v1/auth/not-me"
    return client.post(url, {"token": token}, content_type="application/json")


def told(user: User, *, to: str = HOME) -> str:
    """Tell the person of something; return the code with which they say that it was not them."""
    queue_email(kind=EmailKind.PASSWORD_CHANGED, user=user)
    return code_sent(to=to)


def move(user: User, address: str) -> None:
    """Let an intruder who is signed in take the account to another address."""
    ask_for_email_change(by=user, email=address)
    confirm_email_change(token=code_sent(to=address))
    user.refresh_from_db()


def test_stops_everything(client: Client, alice: User) -> None:
    _, pair = factories.session_family(alice)
    end = timezone.now() + timedelta(days=1)
    key = ApiKey.objects.create(
        user=alice, identifier="x" * 12, secret_digest="0" * 64, name="x", expires_at=end
    )

    answer = say(client, told(alice))

    assert answer.status_code == 200
    assert "password reset" in answer.json()["detail"]
    alice.refresh_from_db()
    key.refresh_from_db()
    assert (alice.is_active, alice.frozen_at is None, key.revoked_at is None) == (False,) * 3
    assert client.get("/api/v1/me", headers=bearer(pair.access)).status_code == 401
    assert not SessionFamily.objects.not_ended().exists()
    assert SecurityEvent.objects.filter(code="account_frozen", user=alice).count() == 1


def test_an_identity_that_an_intruder_has_linked_is_gone(client: Client, alice: User) -> None:
    alice.federated_identities.create(provider="p", iss="https://p.example", sub="mallory")
    queue_email(kind=EmailKind.IDENTITY_LINKED, user=alice)

    say(client, code_sent(to=HOME))

    assert not alice.federated_identities.exists()
    assert SecurityEvent.objects.get(code="account_frozen").data["identities"] == 1


def test_opens_once_within_a_week(client: Client, alice: User) -> None:
    code = told(alice)
    link = OneTimeLink.objects.get()

    assert link.expires_at - link.created_at == timedelta(days=7)
    assert [say(client, code).status_code, say(client, code).status_code] == [200, 400]


def test_the_way_back_is_a_reset(client: Client, alice: User) -> None:
    say(client, told(alice))
    ask_for_reset(email=HOME)
    body = {"token": code_sent(to=HOME), "new_password": "an even longer passphrase"}

    url = "/api/v1/auth/password/reset/confirm"
    assert client.post(url, body, content_type="application/json").status_code == 204
    alice.refresh_from_db()
    assert (alice.is_active, alice.frozen_at) == (True, None)


def test_whom_staff_have_switched_off_stays_so(client: Client, alice: User) -> None:
    code = told(alice)
    User.objects.update(is_active=False)

    say(client, code)

    alice.refresh_from_db()
    assert (alice.is_active, alice.frozen_at) == (False, None)
    ask_for_reset(email=HOME)
    assert sent() == []


def test_puts_the_former_address_back(client: Client, alice: User) -> None:
    move(alice, INTRUDER)

    say(client, code_sent(to=HOME))

    alice.refresh_from_db()
    assert (alice.email, alice.is_active) == (HOME, False)
    ask_for_reset(email=INTRUDER)
    assert sent() == []


def test_an_earlier_message_puts_it_back_as_well(client: Client, alice: User) -> None:
    code = told(alice)
    move(alice, INTRUDER)

    say(client, code)

    alice.refresh_from_db()
    assert alice.email == HOME


def test_an_intruders_own_messages_undo_nothing(client: Client, alice: User) -> None:
    move(alice, INTRUDER)
    home = code_sent(to=HOME)
    intruders = told(alice, to=INTRUDER)
    move(alice, "mallory@example.net")
    second = code_sent(to=INTRUDER)

    assert say(client, home).status_code == 200

    assert {say(client, code).status_code for code in (intruders, second)} == {400}
    alice.refresh_from_db()
    assert alice.email == HOME


def test_an_intruder_who_speaks_first_takes_nothing_from_the_owner(
    client: Client, alice: User
) -> None:
    ask_for_email_change(by=alice, email=INTRUDER)
    confirm_email_change(token=code_sent(to=INTRUDER))
    alice.refresh_from_db()
    # The owner's message waits, for instance for a mail server, while the intruder's is sent.
    OutgoingEmail.objects.unsent().update(due_at=timezone.now() + timedelta(hours=1))
    intruders = told(alice, to=INTRUDER)

    say(client, intruders)

    OutgoingEmail.objects.unsent().update(due_at=timezone.now())
    assert say(client, code_sent(to=HOME)).status_code == 200
    alice.refresh_from_db()
    assert (alice.email, alice.frozen_at is None) == (HOME, False)


def test_what_was_not_told_yet_goes_to_the_former_address(client: Client, alice: User) -> None:
    ask_for_email_change(by=alice, email=INTRUDER)
    code = code_sent(to=INTRUDER)
    queue_email(kind=EmailKind.NEW_DEVICE, user=alice)
    confirm_email_change(token=code)

    assert {(each.to[0]) for each in sent()} == {HOME}


def test_a_message_that_is_being_sent_goes_to_the_former_address_as_well(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for_email_change(by=alice, email=INTRUDER)
    code = code_sent(to=INTRUDER)
    meanwhile(monkeypatch, partial(confirm_email_change, token=code))
    queue_email(kind=EmailKind.NEW_DEVICE, user=alice)

    assert {each.to[0] for each in sent()} == {HOME}


def test_a_message_that_is_being_sent_undoes_nothing_either(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(alice, INTRUDER)
    home = code_sent(to=HOME)
    meanwhile(monkeypatch, partial(freeze_account, token=home))
    queue_email(kind=EmailKind.NEW_DEVICE, user=alice)

    assert sent(to=INTRUDER) == []
    links = OneTimeLink.objects.usable(timezone.now())
    assert not links.filter(email=INTRUDER).exists()


def test_a_message_written_at_the_instant_of_the_change_undoes_nothing_either(
    client: Client, alice: User
) -> None:
    ask_for_email_change(by=alice, email=INTRUDER)
    confirm_email_change(token=code_sent(to=INTRUDER))
    # Its number was drawn before the change's, and it was committed afterwards.
    OutgoingEmail.objects.create(pk=-1, kind=EmailKind.NEW_DEVICE, user=alice, data={})
    codes = {each.to[0]: code_in(each) for each in sent()}

    say(client, codes[HOME])

    assert say(client, codes[INTRUDER]).status_code == 400
    alice.refresh_from_db()
    assert alice.email == HOME


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen between the look at a message and its writing, once."""
    acts = [act]

    def has_room(*_: object) -> bool:
        if acts:
            acts.pop()()
        return True

    monkeypatch.setattr(send_emails, "_has_room", has_room)


def test_plans_that_wait_are_given_up(client: Client, alice: User) -> None:
    code = told(alice)
    ask_for_email_change(by=alice, email=INTRUDER)
    drawn = code_sent(to=INTRUDER)
    ask_for_email_change(by=alice, email="mallory@example.net")

    say(client, code)

    assert sent() == []
    User.objects.update(is_active=True, frozen_at=None)
    url = "/api/v1/auth/email/change/confirm"
    assert client.post(url, {"token": drawn}, content_type="application/json").status_code == 400


def test_no_reset_thaws_where_the_former_address_is_somebody_elses_by_now(
    client: Client, alice: User
) -> None:
    move(alice, INTRUDER)
    code = code_sent(to=HOME)
    factories.user("mallory", email=HOME)

    assert say(client, code).status_code == 200

    alice.refresh_from_db()
    assert (alice.email, alice.is_active, alice.frozen_at) == (INTRUDER, False, None)
    ask_for_reset(email=INTRUDER)
    assert sent() == []


def test_every_notice_holds_a_link(alice: User) -> None:
    queue_email(kind=EmailKind.EMAIL_CHANGED, user=alice, address="former@example.org")

    (message,) = sent()

    assert f"/accounts/links/not-me#{code_in(message)}" in message.body
