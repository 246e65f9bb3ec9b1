"""Mailer: the worker's part that sends e-mails."""

import logging
import smtplib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db import OperationalError

from accounts.management import mailer as module
from accounts.management.mailer import Mailer
from accounts.models import EmailKind, OutgoingEmail, User
from accounts.services.queue_email import queue_email
from accounts.services.send_emails import send_next_email
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Say when a message was sent."""
    came = threading.Event()
    send = EmailMessage.send

    def note(self: EmailMessage, *args: Any, **options: Any) -> int:
        count = send(self, *args, **options)
        came.set()
        return count

    monkeypatch.setattr(EmailMessage, "send", note)
    yield came
    came.set()


def test_the_workers_command_sends_what_is_due(alice: User) -> None:
    queue_email(kind=EmailKind.TOTP_ENABLED, user=alice)

    call_command("run_worker", once=True, stdout=StringIO())

    assert [each.to for each in mail.outbox] == [[alice.email]]
    assert not OutgoingEmail.objects.unsent().exists()


def test_a_mail_server_that_is_away_ends_nothing(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise smtplib.SMTPConnectError(421, "go away")

    monkeypatch.setattr(EmailMessage, "send", fail)
    queue_email(kind=EmailKind.TOTP_ENABLED, user=alice)

    call_command("run_worker", once=True, stdout=StringIO())

    assert OutgoingEmail.objects.unsent().get().attempts == 1


def test_sends_until_it_is_stopped(alice: User, arrived: threading.Event) -> None:
    mailer = Mailer(poll=0.01)
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(mailer.run)
        queue_email(kind=EmailKind.TOTP_ENABLED, user=alice)
        assert arrived.wait(60)
        mailer.stop()
        assert ended.result(60) == 1


def test_waits_out_a_fault_of_the_database(
    alice: User,
    arrived: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = iter([OperationalError("it went away\nDETAIL: a secret"), MemoryError("a secret")])
    send_next = send_next_email

    def fail() -> bool:
        if (fault := next(faults, None)) is not None:
            raise fault
        return send_next()

    monkeypatch.setattr(module, "send_next_email", fail)
    queue_email(kind=EmailKind.TOTP_ENABLED, user=alice)
    mailer = Mailer(poll=0.01)
    with ThreadPoolExecutor() as pool, caplog.at_level(logging.WARNING):
        pool.submit(mailer.run)
        assert arrived.wait(60)
        mailer.stop()
    assert "no e-mail can be sent: it went away" in caplog.text
    assert "no e-mail can be sent: MemoryError" in caplog.text
    assert "a secret" not in caplog.text


def test_once_ends_with_the_databases_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise OperationalError("it went away")

    monkeypatch.setattr(module, "send_next_email", fail)
    with pytest.raises(OperationalError):
        Mailer(poll=0.01, once=True).run()
