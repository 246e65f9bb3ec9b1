"""Whoever asks learns neither by words nor by time whether somebody has a name or an address."""

import time
from collections.abc import Iterator
from itertools import count
from statistics import median
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Authenticator, User
from tests import factories
from tests.budgets import is_own
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
ROUNDS = 15
# What a hash costs, 20 ms, would make it 10 or more; what a busy machine adds must not.
MOST = 3
NUMBERS: Iterator[int] = count()
TAKEN, FREE = "bob@example.org", "nobody{}@example.org"


@pytest.fixture(autouse=True)
def _people(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["accounts.crypto.passwords.BoundedArgon2PasswordHasher"]
    factories.bob()
    User.objects.update(email_verified_at=None)


def register(client: Client, *, username: str = "carol{}", email: str = FREE) -> Any:
    number = next(NUMBERS)
    body = {"username": username.format(number), "email": email.format(number)}
    return post(client, "register", body | {"password": PASSWORD})


def post(client: Client, path: str, body: dict[str, str]) -> Any:
    return client.post(f"/api/v1/auth/{path}", body, content_type="application/json")


def seconds(call: Any) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def ratio(*calls: Any) -> float:
    """Return how many times the dearest costs what the cheapest does, taking turns."""
    costs = [[seconds(call) for call in calls] for _ in range(ROUNDS)]
    medians = [median(column) for column in zip(*costs, strict=True)]
    return float(max(medians) / min(medians))


def test_registering_costs_the_same(client: Client) -> None:
    assert (
        ratio(
            lambda: register(client),
            lambda: register(client, email=TAKEN),
            lambda: register(client, username="bob"),
        )
        < MOST
    )


@pytest.mark.parametrize("path", ["password/reset", "email/resend"])
def test_asking_for_a_message_costs_the_same(client: Client, path: str) -> None:
    assert (
        ratio(
            lambda: post(client, path, {"email": TAKEN}),
            lambda: post(client, path, {"email": FREE.format(1)}),
        )
        < MOST
    )


@pytest.mark.parametrize("path", ["password/reset", "email/resend"])
def test_asking_for_a_message_writes_one_row_whoever_has_the_address(
    client: Client, path: str
) -> None:
    statements = []
    for email in (TAKEN, FREE.format(1)):
        with CaptureQueriesContext(connection) as captured:
            post(client, path, {"email": email})
        own = [sql for query in captured if is_own(sql := query["sql"])]
        statements.append([sql.partition("VALUES")[0] for sql in own])

    assert statements[0] == statements[1]
    assert sum(sql.startswith("INSERT") for sql in statements[0]) == 1


def test_the_headers_and_bodies_are_the_same(client: Client) -> None:
    answers = [
        register(client),
        register(client, email=TAKEN),
        register(client, username="bob"),
    ]
    shapes = {(a.status_code, tuple(sorted(a.headers)), tuple(a.json())) for a in answers}
    assert len(shapes) == 1


@pytest.mark.usefixtures("one_minute")
def test_the_right_password_of_who_is_switched_off_is_one_more_wrong_one(client: Client) -> None:
    """Not only by its words: what it writes, and what it leaves of the counters, is the same."""
    factories.alice(is_active=False)
    traces = []
    for name in ("alice", "nobody"):
        for _ in range(2):  # the log begins a row for each reason and minute
            with CaptureQueriesContext(connection) as captured:
                answer = post(client, "token", {"username": name, "password": PASSWORD})
        own = [sql.split()[0] for query in captured if is_own(sql := query["sql"])]
        traces.append((answer.status_code, answer.json()["code"], own))

    assert traces[0] == traces[1]
    assert list(Authenticator.objects.values_list("failures", flat=True)) == [2, 2]
