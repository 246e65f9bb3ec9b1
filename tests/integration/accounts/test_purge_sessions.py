"""What is forgotten of places, and what is kept."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import EndReason, SessionFamily, User
from accounts.services.purge_sessions import purge_sessions
from tests import browsers, factories

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def alice() -> User:
    return factories.alice()


def place_of_days_ago(alice: User, *, ended: int | None = None, ran_out: int | None = None) -> None:
    now = timezone.now()
    place, _ = factories.session_family(alice)
    if ended is not None:
        SessionFamily.objects.filter(pk=place.pk).end(
            reason=EndReason.LOGOUT, now=now - ended * DAY
        )
    if ran_out is not None:
        times = {"created_at": now - 100 * DAY, "expires_at": now - ran_out * DAY}
        SessionFamily.objects.filter(pk=place.pk).update(**times)


def purge(limit: int = 100) -> int:
    return purge_sessions(before=timezone.now() - 30 * DAY, limit=limit)


def test_forgets_what_ended_or_ran_out_long_ago(alice: User) -> None:
    place_of_days_ago(alice, ended=31)
    place_of_days_ago(alice, ran_out=31)

    assert purge() == 2
    assert not SessionFamily.objects.exists()


def test_keeps_what_is_open_or_has_just_ended(alice: User) -> None:
    place_of_days_ago(alice)
    place_of_days_ago(alice, ended=29)
    place_of_days_ago(alice, ran_out=29)

    assert purge() == 0
    assert SessionFamily.objects.count() == 3


def test_forgets_browsers_data_that_ran_out(alice: User) -> None:
    for _ in range(2):
        browsers.sign_in(Client(), alice)
    stale = Session.objects.first()
    assert stale
    Session.objects.filter(pk=stale.pk).update(expire_date=timezone.now())

    assert purge() == 1
    assert Session.objects.exclude(pk=stale.pk).count() == Session.objects.count() == 1


def test_stops_at_the_limit(alice: User) -> None:
    for _ in range(5):
        place_of_days_ago(alice, ended=31)

    assert [purge(limit=2) for _ in range(4)] == [2, 2, 1, 0]
