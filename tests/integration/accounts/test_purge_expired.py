"""services.purge_expired and its command: only what is over goes, in bounded batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Model
from django.utils import timezone

from accounts.management.base import UsageError
from accounts.models import (
    Authenticator,
    ClientAssertion,
    EmailKind,
    FederationRequest,
    LinkPurpose,
    OneTimeLink,
    OutgoingEmail,
    RateCounter,
    RecoveryCode,
    SecurityEvent,
    SessionFamily,
    SignInChallenge,
)
from accounts.services import purge_expired as service
from accounts.services.purge_expired import purge_expired
from accounts.services.record_event import record_event
from tests import factories

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SECOND = timedelta(seconds=1)


def challenge(ends: datetime, name: str = "a") -> None:
    SignInChallenge.objects.create(
        token_digest=name, user=factories.user(f"c{name}"), audience="x", scope="", expires_at=ends
    )


def link(ends: datetime, name: str = "a") -> None:
    OneTimeLink.objects.create(
        token_digest=name,
        purpose=LinkPurpose.NOT_ME,
        user=factories.user(f"l{name}"),
        told_in=1,
        expires_at=ends,
    )


def federation_request(ends: datetime, name: str = "a") -> None:
    FederationRequest.objects.create(state_digest=name, secrets_sealed=b"", expires_at=ends)


def assertion(ends: datetime, name: str = "a") -> None:
    client = factories.service_client(f"k{name}").client
    ClientAssertion.objects.create(client=client, jti_digest=name, expires_at=ends)


def sent_email(ends: datetime, name: str = "a") -> None:
    sent_at = ends - service.EMAILS_KEPT - SECOND
    OutgoingEmail.objects.create(kind=EmailKind.NEW_DEVICE, address="a@x", sent_at=sent_at)


def abandoned_email(ends: datetime, name: str = "a") -> None:
    given_up_at = ends - service.EMAILS_KEPT - SECOND
    OutgoingEmail.objects.create(kind=EmailKind.NEW_DEVICE, address="a@x", given_up_at=given_up_at)


def counter(ends: datetime, name: str = "a") -> None:
    RateCounter.objects.create(key=name, value=1, expires_at=int(ends.timestamp()))


def guesses(ends: datetime, name: str = "a") -> None:
    last = ends - service.GUESSES_KEPT - SECOND
    kind = "password"
    Authenticator.objects.create(name_digest=name, kind=kind, strangers_wait_until=last)


def session(ends: datetime, name: str = "a") -> None:
    family, _ = factories.session_family(factories.user(f"s{name}"))
    ended = ends - service.SESSIONS_KEPT - SECOND
    start = ended - timedelta(days=1)
    SessionFamily.objects.filter(pk=family.pk).update(created_at=start, expires_at=ended)


KINDS: dict[str, tuple[type[Model], Callable[..., None]]] = {
    "challenges": (SignInChallenge, challenge),
    "links": (OneTimeLink, link),
    "federation_requests": (FederationRequest, federation_request),
    "client_assertions": (ClientAssertion, assertion),
    "emails": (OutgoingEmail, sent_email),
    "emails given up": (OutgoingEmail, abandoned_email),
    "rate_counters": (RateCounter, counter),
    "guesses": (Authenticator, guesses),
    "sessions": (SessionFamily, session),
}


@pytest.mark.parametrize(("kind", "made"), KINDS.items(), ids=KINDS)
def test_deletes_what_is_over_and_nothing_else(kind: str, made: Any) -> None:
    model, make = made
    make(NOW - SECOND, "over")
    make(NOW + 3 * SECOND, "open")

    purged = purge_expired(now=NOW)

    assert purged.counts[kind.partition(" ")[0]] == 1
    assert purged.finished
    assert model._default_manager.count() == 1


def test_keeps_how_often_somebody_guessed_at_a_person() -> None:
    Authenticator.objects.create(
        user=factories.alice(),
        kind="password",
        failures=12,
        strangers_wait_until=NOW - timedelta(days=400),
    )

    purge_expired(now=NOW)

    assert Authenticator.objects.get().failures == 12


def test_keeps_what_waits_to_be_sent() -> None:
    OutgoingEmail.objects.create(
        kind=EmailKind.NEW_DEVICE, address="a@x", created_at=NOW - timedelta(days=400)
    )

    purge_expired(now=NOW)

    assert OutgoingEmail.objects.count() == 1


def test_keeps_the_security_log_and_recovery_codes() -> None:
    long_ago = NOW - timedelta(days=4000)
    record_event(code="signed_in", now=long_ago)
    RecoveryCode.objects.create(user=factories.alice(), digest="a", used_at=long_ago)
    events = SecurityEvent.objects.count()

    purge_expired(now=NOW)

    assert SecurityEvent.objects.count() == events
    assert RecoveryCode.objects.count() == 1


def test_works_in_batches_of_each_kind_in_turn() -> None:
    for number in range(5):
        counter(NOW - SECOND, f"n{number}")
        federation_request(NOW - SECOND, f"n{number}")

    purged = purge_expired(batch=2, now=NOW)

    assert purged.finished
    assert (purged.counts["rate_counters"], purged.counts["federation_requests"]) == (5, 5)


def test_stops_when_the_time_is_up_and_goes_on_another_time() -> None:
    for number in range(3):
        federation_request(NOW - SECOND, f"n{number}")

    first = purge_expired(batch=1, max_seconds=0, now=NOW)
    second = purge_expired(batch=1, now=NOW)

    assert not first.finished
    assert FederationRequest.objects.count() == 0
    assert second.finished


def test_a_counter_that_was_started_anew_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    counter(NOW - SECOND)
    delete = service.deletions(NOW)["rate_counters"]
    RateCounter.objects.update(expires_at=int(NOW.timestamp()) + 60)

    assert delete(10) == 0
    assert RateCounter.objects.count() == 1


def run(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("purge_expired", "--format", "json", *arguments, stdout=out)
    rows: list[dict[str, Any]] = json.loads(out.getvalue())
    return rows


def test_the_command_tells_how_many() -> None:
    challenge(NOW - SECOND)

    rows = run()

    assert {"id": "challenges", "deleted": 1} in rows
    assert sum(row["deleted"] for row in rows) == 1


@pytest.mark.parametrize(
    "arguments",
    [("--batch", "0"), ("--batch", "100001"), ("--max-seconds", "0"), ("--max-seconds", "nan")],
)
def test_the_command_refuses_odd_bounds(arguments: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        run(*arguments)


def test_the_command_says_when_it_left_something(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        federation_request(NOW - SECOND, f"n{number}")
    err = StringIO()

    call_command(
        "purge_expired", "--batch", "1", "--max-seconds", "0.000001", stdout=StringIO(), stderr=err
    )

    assert "next run" in err.getvalue()
