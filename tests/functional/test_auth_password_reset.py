"""POST /api/v1/auth/password/reset and …/confirm: the way back in."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import (
    MOST_FAILURES,
    ApiKey,
    Authenticator,
    AuthenticatorKind,
    LinkPurpose,
    OneTimeLink,
    OutgoingEmail,
    SecurityEvent,
    SessionFamily,
    TotpDevice,
    User,
)
from accounts.services import reset_password
from accounts.services.change_email import ask_for_email_change
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.shut_out import shut_out
from tests import factories
from tests.factories import PASSWORD, bearer
from tests.mailbox import code_sent, sent, subjects

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/password/reset"
NEW = "an even longer passphrase"


@pytest.fixture
def alice() -> User:
    return factories.alice()


def key_of(user: User) -> ApiKey:
    end = timezone.now() + timedelta(days=1)
    return ApiKey.objects.create(
        user=user, identifier="x" * 12, secret_digest="0" * 64, name="x", expires_at=end
    )


def app_of(user: User) -> None:
    device = TotpDevice(user=user, confirmed=True)
    device.set_key(b"k" * 20)
    device.save()


def ask(client: Client, email: str = "alice@example.org") -> Any:
    return client.post(URL, {"email": email}, content_type="application/json")


def confirm(client: Client, token: str, new_password: str = NEW) -> Any:
    body = {"token": token, "new_password": new_password}
    return client.post(f"{URL}/confirm", body, content_type="application/json")


def code_for(client: Client, user: User) -> str:
    ask(client, user.email)
    return code_sent(to=user.email)


def test_sets_a_password_that_signs_in(client: Client, alice: User) -> None:
    answer = confirm(client, code_for(client, alice))

    assert answer.status_code == 204
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert not alice.check_password(PASSWORD)
    assert SecurityEvent.objects.filter(code="password_reset", user=alice).count() == 1
    assert subjects(to=alice.email) == ["Your password was changed"]


def test_opens_once(client: Client, alice: User) -> None:
    code = code_for(client, alice)
    confirm(client, code)

    assert confirm(client, code, "another long passphrase").json()["code"] == "link_not_valid"
    alice.refresh_from_db()
    assert alice.check_password(NEW)


@pytest.mark.parametrize(("after", "status"), [(-1, 204), (0, 400), (1, 400)])
def test_opens_for_half_an_hour(client: Client, alice: User, after: int, status: int) -> None:
    code = code_for(client, alice)
    link = OneTimeLink.objects.get()
    assert link.expires_at - link.created_at == timedelta(minutes=30)
    expired = timezone.now() + timedelta(seconds=-10 * after if after else 0)
    OneTimeLink.objects.update(expires_at=expired)

    assert confirm(client, code).status_code == status


def test_a_bad_password_does_not_use_the_link_up(client: Client, alice: User) -> None:
    code = code_for(client, alice)

    refused = confirm(client, code, "too short")

    assert refused.json()["errors"][0]["pointer"] == "/new_password"
    assert confirm(client, code).status_code == 204


def test_signs_everybody_out(client: Client, alice: User) -> None:
    _, pair = factories.session_family(alice)
    salt = alice.session_salt

    confirm(client, code_for(client, alice))

    assert client.get("/api/v1/me", headers=bearer(pair.access)).status_code == 401
    assert not SessionFamily.objects.live(timezone.now()).filter(user=alice).exists()
    alice.refresh_from_db()
    assert alice.session_salt != salt


def test_ends_the_other_links_and_an_intruders_plans(client: Client, alice: User) -> None:
    ask_for_email_change(by=alice, email="mallory@example.org")
    change, other = code_sent(to="mallory@example.org"), code_for(client, alice)
    ask_for_email_change(by=alice, email="mallory@example.net")
    OutgoingEmail.objects.unsent().update(due_at=timezone.now() + timedelta(hours=1))

    confirm(client, code_for(client, alice))

    assert confirm(client, other, "another long passphrase").status_code == 400
    url = "/api/v1/auth/email/change/confirm"
    assert client.post(url, {"token": change}, content_type="application/json").status_code == 400
    OutgoingEmail.objects.unsent().update(due_at=timezone.now())
    assert sent(to="mallory@example.net") == []


def test_a_reset_lets_in_whom_a_guesser_has_locked_out(client: Client, alice: User) -> None:
    ensure_signing_keys()
    kind = AuthenticatorKind.PASSWORD
    Authenticator.objects.create(user=alice, kind=kind, failures=MOST_FAILURES)

    confirm(client, code_for(client, alice))

    body = {"username": "alice", "password": NEW}
    signed_in = client.post("/api/v1/auth/token", body, content_type="application/json")
    assert signed_in.status_code == 200


def test_leaves_the_second_factor_on(client: Client, alice: User) -> None:
    app_of(alice)

    confirm(client, code_for(client, alice))

    body = {"username": "alice", "password": NEW}
    signed_in = client.post("/api/v1/auth/token", body, content_type="application/json")
    assert signed_in.json()["code"] == "mfa_required"


def test_verifies_the_address_that_it_was_sent_to(client: Client, alice: User) -> None:
    User.objects.update(email_verified_at=None)

    confirm(client, code_for(client, alice))

    alice.refresh_from_db()
    assert alice.email_verified_at is not None


def test_lets_somebody_without_a_password_have_one(client: Client, alice: User) -> None:
    alice.set_unusable_password()
    alice.save()

    assert confirm(client, code_for(client, alice)).status_code == 204


def test_thaws_who_said_it_was_not_them(client: Client, alice: User) -> None:
    User.objects.update(is_active=False, frozen_at=timezone.now())

    code = code_for(client, alice)
    former = confirm(client, code, PASSWORD).json()["errors"]
    assert former[0]["code"] == "password_unchanged"
    assert confirm(client, code).status_code == 204

    alice.refresh_from_db()
    assert (alice.is_active, alice.frozen_at) == (True, None)


def test_sends_nothing_to_whom_staff_have_switched_off(client: Client, alice: User) -> None:
    User.objects.update(is_active=False)

    assert ask(client).status_code == 202
    assert sent() == []


def test_lets_nobody_in_whom_staff_switch_off_meanwhile(client: Client, alice: User) -> None:
    code = code_for(client, alice)
    User.objects.update(is_active=False)

    assert confirm(client, code).status_code == 400
    alice.refresh_from_db()
    assert (alice.is_active, alice.check_password(PASSWORD)) == (False, True)


def test_opens_nothing_for_a_former_address(client: Client, alice: User) -> None:
    code = code_for(client, alice)
    alice.email = "new@example.org"
    alice.save()

    assert confirm(client, code).status_code == 400


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "\x00", "ключ"])
def test_refuses_what_is_no_link(client: Client, alice: User, token: str) -> None:
    assert confirm(client, token).status_code == 400


def test_a_link_of_another_kind_opens_nothing(client: Client, alice: User) -> None:
    code = code_for(client, alice)
    OneTimeLink.objects.update(purpose=LinkPurpose.VERIFY_EMAIL)

    assert confirm(client, code).status_code == 400


def test_answers_strangers_and_owners_alike(client: Client, alice: User) -> None:
    answers, counts = [], []
    for email in ("alice@example.org", "nobody@example.org"):
        with CaptureQueriesContext(connection) as captured:
            answers.append(ask(client, email))
        counts.append(len(captured))

    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert set(answers[0].headers) == set(answers[1].headers)
    assert counts[0] == counts[1]
    assert OutgoingEmail.objects.count() == 2
    assert [each.to for each in sent()] == [["alice@example.org"]]


def test_goes_to_the_address_as_it_is_stored(client: Client, alice: User) -> None:
    ask(client, "ＡＬＩＣＥ@example.org".replace("ＡＬＩＣＥ", "ALICE"))

    assert [each.to for each in sent()] == [["alice@example.org"]]


@pytest.mark.parametrize("email", ["", "alice", "a@b", "alice@example.org\nBcc: x@example.org"])
def test_refuses_what_is_no_address(client: Client, email: str) -> None:
    answer = ask(client, email)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/email"


def test_takes_away_what_a_stranger_prepared_with_somebodys_address(
    client: Client, alice: User
) -> None:
    User.objects.update(email_verified_at=None)
    key = key_of(alice)
    alice.federated_identities.create(provider="p", iss="https://p.example", sub="mallory")
    app_of(alice)
    alice.recovery_codes.create(digest="0" * 64)
    kind = AuthenticatorKind.SECOND_FACTOR
    Authenticator.objects.create(user=alice, kind=kind, failures=MOST_FAILURES)

    confirm(client, code_for(client, alice))

    key.refresh_from_db()
    assert key.revoked_at is not None
    assert not alice.federated_identities.exists()
    assert not TotpDevice.objects.filter(user=alice).exists()
    assert not alice.recovery_codes.exists()
    assert not Authenticator.objects.filter(user=alice, kind=kind, failures__gt=0).exists()
    assert SecurityEvent.objects.get(code="password_reset").data["first_proof"]


def test_takes_away_what_a_stranger_links_meanwhile(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.update(email_verified_at=None)
    code = code_for(client, alice)

    def link_first(**given: Any) -> None:
        # Committed while the reset waited for the place that it is linked from.
        alice.federated_identities.create(provider="p", iss="https://p.example", sub="mallory")
        shut_out(**given)

    monkeypatch.setattr(reset_password, "shut_out", link_first)
    confirm(client, code)

    assert not alice.federated_identities.exists()


def test_keeps_the_keys_of_who_had_shown_their_address(client: Client, alice: User) -> None:
    User.objects.update(email_verified_at=timezone.now())
    key = key_of(alice)

    confirm(client, code_for(client, alice))

    key.refresh_from_db()
    assert key.revoked_at is None
