"""POST /api/v1/auth/register."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import EmailKind, OutgoingEmail, SecurityEvent, User
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/register"
ALICE = {
    "username": "Alice",
    "email": "alice@example.org",
    "password": "a long enough passphrase",
}


def register(client: Client, **changes: Any) -> Any:
    return client.post(URL, ALICE | changes, content_type="application/json")


def refusal(answer: Any) -> tuple[str, str]:
    assert answer.status_code == 400, answer.content
    assert not User.objects.filter(username="Alice").exists()
    (error,) = answer.json()["errors"]
    return error["pointer"], error["code"]


def test_makes_an_account(client: Client) -> None:
    answer = register(client)

    alice = User.objects.get()
    assert answer.status_code == 201
    assert answer.json()["id"] == alice.public_id
    assert answer.json()["username"] == "Alice"
    assert answer.json()["email"] == "alice@example.org"
    assert not answer.json().keys() & {"password", "is_staff"}
    assert alice.check_password(ALICE["password"])
    assert SecurityEvent.objects.get().code == "account_registered"


def test_makes_nobody_an_administrator(client: Client) -> None:
    register(client, is_staff=True, is_superuser=True, is_active=False)

    alice = User.objects.get()
    assert (alice.is_staff, alice.is_superuser, alice.is_active) == (False, False, True)


@pytest.mark.parametrize("taken", ["alice", "ALICE", "ａｌｉｃｅ"])
def test_a_name_that_is_taken_is_told_to_the_mailbox_alone(client: Client, taken: str) -> None:
    User.objects.create_user(taken, "other@example.org")

    answer = register(client, username="aLICE")

    assert answer.status_code == 201
    assert User.objects.count() == 1
    email = OutgoingEmail.objects.get()
    assert (email.kind, email.address) == (EmailKind.NAME_NOT_FREE, "alice@example.org")
    assert (email.user, email.data["username"]) == (None, "aLICE")


@pytest.mark.parametrize("username", ["Alice", "bob"])
def test_an_address_that_is_taken_is_told_to_the_mailbox_alone(
    client: Client, username: str
) -> None:
    factories.user("bob", email="ALICE@example.org")

    answer = register(client, username=username)

    assert answer.status_code == 201
    assert User.objects.count() == 1
    email = OutgoingEmail.objects.get()
    assert (email.kind, email.address) == (EmailKind.ALREADY_REGISTERED, "alice@example.org")


def test_a_new_account_gets_a_link_that_verifies_its_address(client: Client) -> None:
    register(client)

    email = OutgoingEmail.objects.get()
    assert (email.kind, email.user) == (EmailKind.VERIFY_EMAIL, User.objects.get())


@pytest.mark.parametrize("there", [{}, {"email": "bob@example.org"}, {"username": "bob"}])
def test_every_answer_has_the_same_shape(client: Client, there: dict[str, str]) -> None:
    factories.bob()

    answer = register(client, **there)

    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == {"id", "username", "email", "date_joined"}
    assert len(body["id"]) == 36
    assert body["id"].startswith("usr_")
    assert (body["username"], body["email"]) == (
        (ALICE | there)["username"],
        (ALICE | there)["email"],
    )
    assert set(answer.headers) == set(register(client, **there).headers)


@pytest.mark.usefixtures("one_minute")
def test_every_answer_costs_the_same_statements(client: Client) -> None:
    factories.bob()
    there = (
        {"username": "carol", "email": "carol@example.org"},
        {"username": "dave", "email": "bob@example.org"},
        {"username": "bob", "email": "dave@example.org"},
    )
    for taken in there[1:]:
        register(client, **taken)  # the first refusal of a minute makes the row that counts

    counts = []
    for each in there:
        with CaptureQueriesContext(connection) as captured:
            register(client, **each)
        counts.append(len(captured))

    assert max(counts) == min(counts), counts


def test_every_answer_costs_one_hash(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.bob()
    hashed: list[str] = []
    monkeypatch.setattr(User, "set_password", lambda _, password: hashed.append(password))

    for there in ({}, {"email": "bob@example.org"}, {"username": "bob"}):
        register(client, **there)

    assert len(hashed) == 3


def test_refuses_nothing_but_what_is_malformed(client: Client) -> None:
    factories.bob()

    answer = register(client, username="bob", email="bob@example.org", password="short")

    assert answer.status_code == 400
    assert OutgoingEmail.objects.count() == 0


@pytest.mark.parametrize("username", ["al ice", "al-ice", "al.ice", "<b>", "a\u200db", "a\u202eb"])
def test_refuses_names_that_are_not_alphanumeric(client: Client, username: str) -> None:
    assert refusal(register(client, username=username)) == ("/username", "not_alphanumeric")


@pytest.mark.parametrize("username", ["Αλίκη7", "艾丽丝", "Zoë", "7"])
def test_takes_letters_of_any_script(client: Client, username: str) -> None:
    assert register(client, username=username).json()["username"] == username


def test_refuses_a_long_name(client: Client) -> None:
    assert refusal(register(client, username="a" * 65)) == ("/username", "max_length")


@pytest.mark.parametrize("email", ["alice", "alice@", "a b@example.org"])
def test_refuses_what_is_no_address(client: Client, email: str) -> None:
    assert refusal(register(client, email=email)) == ("/email", "invalid")


@pytest.mark.parametrize(
    "email", [f"{'a' * 250}@example.org", f"alice@{'ﷺ' * 50}.org"], ids=["long", "folds long"]
)
def test_refuses_a_long_address(client: Client, email: str) -> None:
    assert refusal(register(client, email=email)) == ("/email", "max_length")


@pytest.mark.parametrize(("length", "status"), [(14, 400), (15, 201), (256, 201), (257, 400)])
def test_bounds_the_length_of_a_password(client: Client, length: int, status: int) -> None:
    password = ("correct horse battery staple " * 10)[:length].replace(" ", "-")

    assert register(client, password=password).status_code == status


def test_refuses_a_common_password(client: Client) -> None:
    assert refusal(register(client, password="password1password1")) == (
        "/password",
        "password_too_common",
    )


@pytest.mark.parametrize("member", ["username", "email", "password"])
@pytest.mark.parametrize("value", [None, [], {}, 7.5, "", "\ud800"])
def test_names_the_member_that_is_wrong(client: Client, member: str, value: Any) -> None:
    answer = register(client, **{member: value})

    assert answer.status_code == 400
    assert all(e["pointer"] in {f"/{member}", ""} for e in answer.json()["errors"])
