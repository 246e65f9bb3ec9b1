"""Many requests of one browser, and a password that changes while it is used (PostgreSQL)."""

from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.errors import InvalidCredentials
from accounts.models import SessionFamily, User
from accounts.services.end_session import end_sessions
from accounts.services.lock_person import lock_person
from accounts.services.note_password_change import note_password_change
from accounts.services.open_session import open_browser_session
from accounts.services.use_browser_session import use_browser_session
from tests import factories
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
]
THREADS, ROUNDS = 8, 10
MINUTE = timedelta(minutes=1)


def test_last_seen_is_written_once_however_many_ask() -> None:
    place = open_browser_session(user=factories.alice(), amr=["pwd"])
    written: list[int] = []

    def use(now: Any) -> None:
        with connection.execute_wrapper(partial(count_written, written)):
            assert use_browser_session(family_id=place.pk, now=now)

    for minute in range(1, ROUNDS + 1):
        at_once(*[partial(use, place.created_at + minute * MINUTE)] * THREADS)

    assert sum(written) == ROUNDS


def count_written(written: list[int], execute: Any, sql: str, params: Any, *rest: Any) -> Any:
    """Note how many rows each UPDATE has changed."""
    result = execute(sql, params, *rest)
    if sql.startswith("UPDATE"):
        written.append(rest[1]["cursor"].rowcount)
    return result


def test_each_place_ends_once_whoever_ends_all() -> None:
    alice = factories.alice()
    for _ in range(ROUNDS):
        open_browser_session(user=alice, amr=["pwd"])
    places = SessionFamily.objects.filter(user=alice)

    ended = at_once(*[partial(end_sessions, families=places)] * THREADS)

    assert sum(ended) == ROUNDS


def test_no_place_survives_the_password_that_opened_it() -> None:
    """The sign-in has judged the old password; the change commits while it opens the place."""
    alice = factories.alice()
    changing = Event()

    def change() -> str:
        person = User.objects.get(pk=alice.pk)
        with transaction.atomic():
            person.set_password("another passphrase")
            person.save()
            changing.set()
            connection.cursor().execute("SELECT pg_sleep(0.3)")
        note_password_change(user=person, by=person)
        return "changed"

    def sign_in() -> str:
        changing.wait(timeout=60)
        try:
            open_browser_session(user=alice, amr=["pwd"])
        except InvalidCredentials:
            return "refused"
        return "opened"

    assert at_once(change, sign_in) == ["changed", "refused"]
    assert not SessionFamily.objects.live(timezone.now()).exists()


def test_who_ends_places_waits_for_the_person_first() -> None:
    """In one order wherever places end with a password, so that no two wait for each other."""
    alice = factories.alice()
    open_browser_session(user=alice, amr=["pwd"])
    locked = Event()

    def change() -> bool:
        with transaction.atomic():
            lock_person(user=alice)
            locked.set()
            connection.cursor().execute("SELECT pg_sleep(0.3)")
            return SessionFamily.objects.select_for_update(nowait=True).first() is not None

    def note() -> bool:
        locked.wait(timeout=60)
        note_password_change(user=alice, by=alice)
        return True

    assert at_once(change, note) == [True, True]
