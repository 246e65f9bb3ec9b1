"""POST /api/v1/auth/step-up: prove anew who one is (RFC 9470)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import Authenticator, EndReason, SecurityEvent, SessionFamily, User
from accounts.services.refresh_session import refresh_session
from tests import factories, oauth
from tests.factories import PASSWORD, bearer
from tests.rest import code_of
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/step-up"
NOON = 1_800_000_000  # a step of 30 s begins here
EARLIER = timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def alice() -> User:
    return factories.alice()


def step_up(client: Client, access: str = "", **members: str) -> Any:
    headers = bearer(access) if access else {}
    return client.post(URL, members, content_type="application/json", headers=headers)


def test_gives_an_access_token_that_says_when(client: Client, alice: User) -> None:
    family, pair = factories.session_family(alice, ago=EARLIER)

    answer = step_up(client, pair.access, password=PASSWORD)

    assert answer.json().keys() == {"access", "token_type", "expires_in", "scope"}
    claims = claims_of(answer.json()["access"])
    assert (claims["auth_time"], claims["acr"], claims["amr"]) == (NOON, "aal1", ["pwd"])
    assert claims["sid"] == family.public_id


def test_a_code_makes_it_two_factors(client: Client, alice: User) -> None:
    _, code = factories.totp_device(alice)
    access = factories.access_token_for(alice, ago=EARLIER)

    claims = claims_of(step_up(client, access, otp=code()).json()["access"])

    assert (claims["auth_time"], claims["acr"]) == (NOON, "aal2")
    assert claims["amr"] == ["pwd", "otp", "mfa"]


def test_takes_a_recovery_code(client: Client, alice: User) -> None:
    factories.totp_device(alice)
    access = factories.access_token_for(alice, amr=["fed", "otp", "mfa"])

    answer = step_up(client, access, otp=factories.recovery_code(alice))

    assert claims_of(answer.json()["access"])["amr"] == ["fed", "rc", "mfa"]


def test_moves_nothing_of_the_session(client: Client, alice: User) -> None:
    _, code = factories.totp_device(alice)
    family, pair = factories.session_family(alice, ago=EARLIER)
    before = SessionFamily.objects.values().get()

    step_up(client, pair.access, otp=code())

    assert SessionFamily.objects.values().get() == before
    refreshed = claims_of(refresh_session(token=pair.refresh).access)
    assert (refreshed["auth_time"], refreshed["acr"], refreshed["amr"]) == (
        int(family.auth_time.timestamp()),
        "aal1",
        ["pwd"],
    )


def test_a_refresh_token_names_the_session(client: Client, alice: User) -> None:
    audience = "https://savings.example/trigger"
    _, pair = factories.session_family(alice, scope="profile", audience=audience, ago=EARLIER)

    answer = step_up(client, refresh=pair.refresh, password=PASSWORD)

    claims = claims_of(answer.json()["access"])
    assert (claims["aud"], claims["scope"], claims["auth_time"]) == (audience, "profile", NOON)
    refresh_session(token=pair.refresh)  # it was not used up


def test_refuses_a_refresh_token_that_was_replaced(client: Client, alice: User) -> None:
    family, pair = factories.session_family(alice)
    refresh_session(token=pair.refresh)

    answer = step_up(client, refresh=pair.refresh, password=PASSWORD)

    assert code_of(answer) == (401, "token_not_valid")
    family.refresh_from_db()
    assert family.ended_at is None


def test_signs_nothing_for_a_session_that_ends_meanwhile(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(**_: object) -> None:
        SessionFamily.objects.all().end(reason=EndReason.REVOKED, now=timezone.now())

    access = factories.access_token_for(alice)
    monkeypatch.setattr("accounts.services.step_up.verify_password", end)

    assert code_of(step_up(client, access, password=PASSWORD)) == (401, "token_not_valid")
    assert not SecurityEvent.objects.filter(code="stepped_up").exists()


def test_drops_a_meta_scope_that_was_taken_away(client: Client, alice: User) -> None:
    of_no_group = factories.access_token_for(alice, scope="profile trigger_transfers")

    answer = step_up(client, of_no_group, password=PASSWORD)

    assert answer.json()["scope"] == claims_of(answer.json()["access"])["scope"] == "profile"


def test_opens_no_more_than_the_token_shown(client: Client, alice: User) -> None:
    _, pair = factories.session_family(alice, scope="profile")
    SessionFamily.objects.update(scope="profile account")

    assert step_up(client, pair.access, password=PASSWORD).json()["scope"] == "profile"


def test_who_has_an_app_must_use_it(client: Client, alice: User) -> None:
    factories.totp_device(alice)
    access = factories.access_token_for(alice)

    answer = step_up(client, access, password=PASSWORD)

    assert code_of(answer) == (400, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == "/otp"


@pytest.mark.parametrize("members", [{}, {"otp": "123456"}, {"otp": "1", "password": PASSWORD}])
def test_who_has_none_sends_the_password(
    client: Client, alice: User, members: dict[str, str]
) -> None:
    answer = step_up(client, factories.access_token_for(alice), **members)

    assert code_of(answer) == (400, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == "/password"


def test_refuses_and_counts_a_wrong_password(client: Client, alice: User) -> None:
    answer = step_up(client, factories.access_token_for(alice), password="another passphrase")

    assert code_of(answer) == (401, "invalid_credentials")
    assert Authenticator.objects.get().failures == 1
    assert SecurityEvent.objects.get(code="sign_in_refused").user == alice


def test_refuses_and_counts_a_wrong_code(client: Client, alice: User) -> None:
    factories.totp_device(alice)

    answer = step_up(client, factories.access_token_for(alice), otp="000000")

    assert code_of(answer) == (401, "invalid_otp")
    assert Authenticator.objects.get().failures == 1


def test_records_one_event(client: Client, alice: User) -> None:
    family, pair = factories.session_family(alice)

    step_up(client, pair.access, password=PASSWORD)

    event = SecurityEvent.objects.get(user=alice)
    assert (event.code, event.outcome) == ("stepped_up", "success")
    assert event.data == {"session": family.public_id, "amr": ["pwd"]}


@pytest.mark.parametrize("by", ["access", "refresh"])
@pytest.mark.parametrize("what", ["ended", "disabled"])
def test_refuses_at_once_what_has_ended(client: Client, alice: User, by: str, what: str) -> None:
    family, pair = factories.session_family(alice)
    if what == "ended":
        SessionFamily.objects.update(ended_at=family.created_at, end_reason="logout")
    else:
        User.objects.update(is_active=False)

    how = {"access": pair.access} if by == "access" else {"refresh": pair.refresh}

    assert code_of(step_up(client, password=PASSWORD, **how)) == (401, "token_not_valid")


def test_refuses_who_shows_no_session(client: Client, alice: User) -> None:
    assert code_of(step_up(client, password=PASSWORD)) == (401, "token_not_valid")


def test_refuses_a_token_for_somebody_else(client: Client, alice: User) -> None:
    access = factories.access_token_for(alice, audience="https://savings.example/trigger")

    assert code_of(step_up(client, access, password=PASSWORD)) == (401, "token_not_valid")


def test_refuses_a_machine(client: Client) -> None:
    new = factories.service_client()

    answer = client.post(
        URL,
        {"password": PASSWORD},
        content_type="application/json",
        headers=factories.basic(new.client, new.secret),
    )

    assert code_of(answer) == (401, "token_not_valid")


def test_introspection_tells_what_the_token_says(client: Client, alice: User) -> None:
    """RFC 9470 section 6.2: whoever asks about the token learns when and how."""
    _, code = factories.totp_device(alice)
    gateway = factories.service_client(scopes=["introspect"])
    _, pair = factories.session_family(alice, ago=EARLIER)
    stepped_up = step_up(client, pair.access, otp=code()).json()["access"]

    said = [
        oauth.send({"token": token}, by=gateway, url=oauth.INTROSPECT_URL).json()
        for token in (pair.access, stepped_up)
    ]

    assert [answer["acr"] for answer in said] == ["aal1", "aal2"]
    assert said[1]["auth_time"] - said[0]["auth_time"] == EARLIER.total_seconds()
