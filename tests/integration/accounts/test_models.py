"""What the database itself refuses: one test for each named constraint."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import (
    ApiKey,
    SecurityEvent,
    ServiceClient,
    SessionFamily,
    SessionKind,
    SigningKey,
    User,
)
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def refuses(rows: Any, **change: Any) -> bool:
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(**change)
    return True


def test_user_names_are_unique_when_folded() -> None:
    factories.alice()

    for names in ({"username": "ALICE"}, {"email": "Alice@Example.ORG"}):
        other = {"username": "other", "email": "other@example.org"} | names
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create_user(**other)


def test_user_names_are_folded_by_bulk_create() -> None:
    User.objects.bulk_create([User(username="Zoë", email="Z@Example.org")])

    assert User.objects.get(username_folded="ZOË").email_folded == "z@example.org"


def test_user_names_are_not_empty() -> None:
    factories.alice()

    assert refuses(User.objects, username_folded="")
    assert refuses(User.objects, email_folded="")


def test_session_families_are_whole() -> None:
    factories.session_family(factories.alice())
    rows = SessionFamily.objects

    assert refuses(rows, expires_at=NOW - timedelta(days=1))
    assert refuses(rows, ended_at=NOW)
    assert refuses(rows, end_reason="logout")
    assert refuses(rows, reissues=11)
    assert refuses(rows, current_jti_digest="")


@pytest.mark.parametrize("kind", list(SessionKind))
@pytest.mark.parametrize("unused_for", [timedelta(minutes=59, seconds=59), timedelta(hours=1)])
@pytest.mark.parametrize("left", [timedelta(0), timedelta(seconds=1)])
def test_a_row_and_a_query_agree_on_what_is_live(
    kind: SessionKind, unused_for: timedelta, left: timedelta
) -> None:
    family, _ = factories.session_family(factories.alice())
    now = family.expires_at - left
    family.kind, family.last_used_at = kind, now - unused_for
    family.save()

    in_query = SessionFamily.objects.live(now).exists()

    assert family.is_live(now) == in_query
    awake = kind == SessionKind.MOBILE or unused_for < timedelta(hours=1)
    assert in_query == (bool(left) and awake)


def test_service_clients_are_whole() -> None:
    factories.service_client("a", audience="https://a.example/")
    factories.service_client("b")
    rows = ServiceClient.objects.filter(client_id="b")

    assert refuses(rows, client_id="a")
    assert refuses(rows, client_id="")
    assert refuses(rows, audience="https://a.example/")
    assert refuses(rows, audience="")


def test_api_keys_are_whole() -> None:
    factories.service_client("a")
    factories.service_client("b")
    first, second = ApiKey.objects.all()

    assert refuses(ApiKey.objects.filter(pk=first.pk), identifier=second.identifier)
    assert refuses(ApiKey.objects, expires_at=NOW - timedelta(days=1))


def test_signing_keys_are_one_at_a_time() -> None:
    first, second, *_ = ensure_signing_keys()
    rows = SigningKey.objects.filter(pk=first.pk)

    assert refuses(rows, kid=second.kid)
    assert refuses(rows, purpose=second.purpose)


def test_security_events_are_counted_from_one() -> None:
    SecurityEvent.objects.create(code="a", outcome="refused", correlation="one")
    SecurityEvent.objects.create(code="b", outcome="refused", correlation="two")

    assert refuses(SecurityEvent.objects, count=0)
    assert refuses(SecurityEvent.objects, correlation="one")
