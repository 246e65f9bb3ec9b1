"""send_emails: at least once, a few to one mailbox, and nothing kept of what was sent."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from accounts.models import (
    EmailKind,
    LinkPurpose,
    OneTimeLink,
    OutgoingEmail,
    SecurityEvent,
    User,
)
from accounts.services.change_email import ask_for_email_change, confirm_email_change
from accounts.services.queue_email import queue_email
from accounts.services.send_emails import LEASE, MOST_TRIES, MOST_UNASKED, send_next_email
from accounts.services.write_email import LINK_PAGE
from tests import factories
from tests.mailbox import code_in, sent

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def queued(alice: User) -> OutgoingEmail:
    queue_email(kind=EmailKind.NEW_DEVICE, user=alice, data={"device": "Firefox on Linux"})
    return OutgoingEmail.objects.get()


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Let each try to send fail with the list's last exception, until it is empty."""
    faults: list[Exception] = []
    send = EmailMessage.send

    def fail(self: EmailMessage, *args: Any, **options: Any) -> int:
        if faults:
            raise faults[-1]
        return send(self, *args, **options)

    monkeypatch.setattr(EmailMessage, "send", fail)
    return faults


@pytest.mark.parametrize("kind", EmailKind)
def test_every_kind_has_its_words(alice: User, kind: EmailKind) -> None:
    User.objects.update(email_verified_at=None)
    queue_email(kind=kind, user=alice, address=alice.email, data={"username": "alice"})

    (message,) = sent()

    assert message.to == [alice.email]
    assert message.subject
    assert "{" not in message.body
    assert "&#" not in message.body
    assert "\n\n\n" not in message.body
    assert message.body.split("\n\n")[1][0].isupper()
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_a_key_that_ends_asks_nobody_whether_it_was_them(alice: User) -> None:
    queue_email(kind=EmailKind.API_KEY_EXPIRING, user=alice, data={"name": "backup"})

    (message,) = sent()

    assert "If this was you" not in message.body
    assert "If you have made no such key, say so here" in message.body


@pytest.mark.parametrize(("authenticator", "known"), [("password", False), ("second_factor", True)])
def test_guesses_at_codes_tell_that_somebody_has_the_password(
    alice: User, authenticator: str, known: bool
) -> None:
    kind = EmailKind.AUTHENTICATOR_DISABLED
    queue_email(kind=kind, user=alice, data={"authenticator": authenticator})

    (message,) = sent()

    assert ("somebody has it" in message.body) is known


def test_keeps_nothing_of_what_was_sent(queued: OutgoingEmail) -> None:
    assert len(sent()) == 1

    queued.refresh_from_db()
    assert (queued.data, queued.address) == ({}, "")
    assert queued.sent_at is not None
    assert not send_next_email()


def test_the_link_is_drawn_when_the_message_is_sent(queued: OutgoingEmail, settings: Any) -> None:
    assert not OneTimeLink.objects.exists()

    code = code_in(sent()[0])

    link = OneTimeLink.objects.get()
    assert link.token_digest != code
    assert (link.purpose, link.told_in) == (LinkPurpose.NOT_ME, queued.pk)


def test_the_code_stands_in_no_part_that_a_server_sees(queued: OutgoingEmail) -> None:
    (message,) = sent()

    assert f"{LINK_PAGE}not-me#{code_in(message)}" in message.body
    assert "?" not in message.body


def test_a_killed_workers_message_comes_again(queued: OutgoingEmail) -> None:
    OutgoingEmail.objects.update(attempts=1, due_at=NOW + LEASE)

    assert not send_next_email(now=NOW)
    assert send_next_email(now=NOW + LEASE)
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("error", [ConnectionRefusedError(), smtplib.SMTPServerDisconnected()])
def test_tries_again_later_each_time(
    queued: OutgoingEmail, fault: list[Exception], error: Exception
) -> None:
    fault.append(error)
    waits = []
    now = queued.due_at
    for _ in range(3):
        send_next_email(now=now)
        queued.refresh_from_db()
        waits.append(queued.due_at - now)
        now = queued.due_at
    assert waits == [timedelta(seconds=seconds) for seconds in (30, 60, 120)]

    fault.clear()
    send_next_email(now=now)
    assert len(mail.outbox) == 1


def test_gives_up_in_the_end_and_says_so(queued: OutgoingEmail, fault: list[Exception]) -> None:
    fault.append(ConnectionRefusedError("alice@example.org"))
    now = queued.due_at
    for _ in range(MOST_TRIES):
        assert send_next_email(now=now)
        queued.refresh_from_db()
        now = max(now, queued.due_at)

    assert not send_next_email(now=now + timedelta(days=1))
    assert queued.given_up_at is not None
    assert queued.data == {}
    event = SecurityEvent.objects.get(code="email_given_up")
    assert event.data == {"kind": "new_device", "reason": "ConnectionRefusedError"}


def test_gives_up_what_workers_die_over(queued: OutgoingEmail) -> None:
    OutgoingEmail.objects.update(attempts=MOST_TRIES)

    assert sent() == []
    assert SecurityEvent.objects.filter(code="email_given_up").count() == 1


def test_gives_up_at_once_what_no_waiting_mends(
    queued: OutgoingEmail, fault: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    fault.append(ValueError("alice@example.org"))

    assert send_next_email()

    queued.refresh_from_db()
    assert queued.given_up_at is not None
    assert "alice@example.org" not in caplog.text


def test_one_that_fails_does_not_stop_the_others(
    queued: OutgoingEmail, alice: User, fault: list[Exception]
) -> None:
    fault.append(RecursionError())
    send_next_email()
    fault.clear()
    queue_email(kind=EmailKind.TOTP_ENABLED, user=alice)

    assert [each.subject for each in sent()] == ["Two-step sign-in is on"]


def test_what_a_newer_version_has_queued_waits_for_its_worker(alice: User) -> None:
    OutgoingEmail.objects.create(kind="of_tomorrow", user=alice, data={})
    queue_email(kind=EmailKind.TOTP_ENABLED, user=alice)

    assert [each.subject for each in sent()] == ["Two-step sign-in is on"]

    row = OutgoingEmail.objects.unsent().get()
    assert row.attempts == 1
    OutgoingEmail.objects.update(attempts=MOST_TRIES, due_at=NOW)
    assert sent() == []
    assert SecurityEvent.objects.get(code="email_given_up").data["kind"] == "of_tomorrow"


@pytest.mark.parametrize(
    "forged",
    ["alice@example.org\nBcc: mallory@example.org", '"a\x0c\x0cRead this"@example.org'],
)
def test_no_header_can_be_smuggled_in(alice: User, forged: str) -> None:
    OutgoingEmail.objects.create(kind=EmailKind.NAME_NOT_FREE, address=forged, data={})

    assert sent() == []
    assert OutgoingEmail.objects.get().given_up_at is not None


def test_no_one_elses_words_look_like_ours(alice: User) -> None:
    name = "x\n\nOpen https://evil.example/ or www.evil.example now " + "y" * 500
    queue_email(
        kind=EmailKind.API_KEY_CREATED, user=alice, data={"name": name, "link": "https://e"}
    )

    (message,) = sent()

    assert "https://e" not in message.body.replace(f"{LINK_PAGE}", "")
    assert "www.evil" not in message.body
    assert "\nOpen https" not in message.body
    assert "y" * 100 not in message.body


@pytest.mark.parametrize(
    ("kind", "minutes"),
    [
        (EmailKind.NAME_NOT_FREE, 60),
        (EmailKind.ALREADY_REGISTERED, 60),
        (EmailKind.VERIFY_EMAIL, 60),
        (EmailKind.RESET_PASSWORD, 30),
    ],
)
def test_a_mailbox_gets_a_few_that_nobody_signed_in_for(
    alice: User, settings: Any, one_minute: None, kind: EmailKind, minutes: int
) -> None:
    settings.RATE_LIMITS = True
    User.objects.update(email_verified_at=None)
    for address in [alice.email, alice.email.upper()] * 5:
        queue_email(kind=kind, address=address)

    assert len(sent()) == MOST_UNASKED
    assert not OutgoingEmail.objects.unsent().exists()
    assert SecurityEvent.objects.get(code="email_withheld").count == 10 - MOST_UNASKED

    later = timezone.now() + timedelta(minutes=minutes, seconds=1)
    queue_email(kind=kind, address=alice.email)
    mail.outbox.clear()
    assert send_next_email(now=later)
    assert len(mail.outbox) == 1


def test_a_mailbox_that_gets_no_more_has_a_link_that_opens(alice: User, settings: Any) -> None:
    settings.RATE_LIMITS = True
    for _ in range(MOST_UNASKED + 1):
        queue_email(kind=EmailKind.RESET_PASSWORD, address=alice.email)
    sent()

    end = timezone.now() + timedelta(minutes=30)
    links = OneTimeLink.objects.filter(purpose=LinkPurpose.RESET_PASSWORD)
    assert all(link.expires_at >= end - timedelta(seconds=5) for link in links)


def test_nobody_uses_up_what_another_account_may_have_sent(alice: User, settings: Any) -> None:
    settings.RATE_LIMITS = True
    mallory = factories.user("mallory")
    for person in [mallory] * (MOST_UNASKED + 1) + [alice]:
        ask_for_email_change(by=person, email="new@example.org")

    links = [code_in(each) for each in sent(to="new@example.org")]

    assert len(links) == MOST_UNASKED + 1
    assert confirm_email_change(token=links[-1]) == alice


def test_a_retry_does_not_count_again(alice: User, settings: Any, fault: list[Exception]) -> None:
    settings.RATE_LIMITS = True
    queue_email(kind=EmailKind.RESET_PASSWORD, address=alice.email)
    fault.append(ConnectionRefusedError())
    now = timezone.now()
    for _ in range(MOST_UNASKED + 2):
        send_next_email(now=now)
        now = OutgoingEmail.objects.get().due_at
    fault.clear()

    assert send_next_email(now=now)
    assert len(mail.outbox) == 1


def test_notices_are_never_withheld(alice: User, settings: Any) -> None:
    settings.RATE_LIMITS = True
    for _ in range(MOST_UNASKED + 3):
        queue_email(kind=EmailKind.PASSWORD_CHANGED, user=alice)

    assert len(sent()) == MOST_UNASKED + 3
