"""Staff in the admin: who gets in, what they may do to others, and what the log tells of it."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.models import (
    ApiKey,
    Authenticator,
    EmailKind,
    OutgoingEmail,
    SecurityEvent,
    SessionFamily,
    User,
)
from tests import factories

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"
NEW = {"password1": "another passphrase", "password2": "another passphrase"}


def sign_in(client: Client, username: str, password: str = factories.PASSWORD) -> int:
    return client.post(LOGIN, {"username": username, "password": password}).status_code


def events(code: str) -> list[tuple[User | None, Any]]:
    return [(event.user, event.data) for event in SecurityEvent.objects.filter(code=code)]


@pytest.fixture
def root(client: Client) -> User:
    """A superuser who is signed in."""
    root = factories.staff()
    client.force_login(root)
    return root


@pytest.fixture
def clerk(client: Client) -> User:
    """A member of staff who may change people, and is signed in."""
    clerk = factories.user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="change_user"))
    client.force_login(clerk)
    return clerk


def address(user: User, page: str = "accounts_user_change") -> str:
    return reverse(f"admin:{page}", args=[user.pk])


def reset(client: Client, user: User) -> int:
    url = address(user, "auth_user_password_change")
    return client.post(url, NEW | {"usable_password": "true"}).status_code


def act(client: Client, model: str, action: str, row: Any) -> None:
    body = {"action": action, "_selected_action": [str(row.pk)]}
    client.post(reverse(f"admin:accounts_{model}_changelist"), body)


class TestSignIn:
    @pytest.fixture(autouse=True)
    def _in_development(self, settings: Any) -> None:
        """Let staff in with their password alone; test_staff_second_factor.py has the rest."""
        settings.STAFF_SHOW_SECOND_FACTOR = False

    def test_looks_at_no_password_of_any_length(self, client: Client) -> None:
        factories.staff()

        assert sign_in(client, "staff", "\u0315\u0300" * 21_000) == 200
        assert not Authenticator.objects.exists()

    def test_records_who_came_in(self, client: Client) -> None:
        root = factories.staff()

        assert sign_in(client, "STAFF") == 302

        assert client.get("/admin/").status_code == 200
        place = SessionFamily.objects.get()
        [(user, data)] = events("signed_in")
        assert (user, data["session"], data["kind"]) == (root, place.public_id, "browser")
        assert (place.amr, place.acr) == (["pwd"], "aal1")

    @pytest.mark.parametrize(
        ("username", "password", "reason"),
        [
            ("staff", "mistyped", "wrong_password"),
            ("nobody", factories.PASSWORD, "unknown_user"),
            ("alice", factories.PASSWORD, "not_staff"),
        ],
    )
    def test_records_who_was_refused(
        self, client: Client, username: str, password: str, reason: str
    ) -> None:
        factories.staff()
        factories.alice()

        assert sign_in(client, username, password) == 200

        assert [data for _, data in events("sign_in_refused")] == [{"reason": reason}]
        assert client.get("/admin/").status_code == 302

    def test_is_limited_together_with_the_api(
        self, client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.RATE_LIMITS = True
        monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))
        factories.staff()

        answers = [sign_in(client, "staff", "mistyped") for _ in range(10)]

        assert answers == [200] * 10
        answer = client.post(LOGIN, {"username": "staff", "password": factories.PASSWORD})
        assert answer.status_code == 429
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.headers["Retry-After"]
        assert client.post("/api/v1/auth/token", {}).status_code == 429

    def test_asks_for_both(self, client: Client) -> None:
        assert client.post(LOGIN, {"username": "staff"}).status_code == 200
        assert not SecurityEvent.objects.exists()


class TestPasswords:
    def test_notes_who_reset_one_and_ends_the_persons_sessions(
        self, client: Client, root: User
    ) -> None:
        alice = factories.alice()
        factories.session_family(alice)

        assert reset(client, alice) == 302

        assert events("password_changed") == [(alice, {"by": root.public_id})]
        assert not SessionFamily.objects.not_ended().filter(user=alice).exists()
        mail = OutgoingEmail.objects.get(kind=EmailKind.PASSWORD_CHANGED)
        assert (mail.user, mail.data["address"]) == (alice, "")

    def test_notes_none_that_was_refused(self, client: Client, root: User) -> None:
        alice = factories.alice()

        client.post(address(alice, "auth_user_password_change"), NEW | {"password2": "mistyped"})

        assert not events("password_changed")

    def test_notes_a_change_of_ones_own(self, client: Client, root: User) -> None:
        body = {f"new_{name}": text for name, text in NEW.items()}

        other = Client()
        other.force_login(root)

        client.post("/admin/password_change/", body | {"old_password": factories.PASSWORD})

        assert events("password_changed") == [(root, {})]
        assert client.get("/admin/").status_code == 200
        assert other.get("/admin/").status_code == 302
        assert OutgoingEmail.objects.get(kind=EmailKind.PASSWORD_CHANGED).user == root

    def test_counts_guesses_at_ones_own(self, client: Client, root: User) -> None:
        body = {f"new_{name}": text for name, text in NEW.items()}

        for _ in range(3):
            client.post("/admin/password_change/", body | {"old_password": "mistyped"})

        assert Authenticator.objects.get(user=root, kind="password").failures == 3
        assert not events("password_changed")


class TestSigningOut:
    def test_reaches_every_browser_of_that_person_alone(self, client: Client, root: User) -> None:
        other, browser = factories.staff("other"), Client()
        browser.force_login(other)

        act(client, "user", "sign_out_everywhere", other)

        assert browser.get("/admin/").status_code == 302
        assert client.get("/admin/").status_code == 200
        data = {"people": 1, "why": "admin", "by": root.public_id}
        assert events("signed_out_everywhere") == [(other, data)]

    def test_names_who_ended_a_session(self, client: Client, root: User) -> None:
        family, _ = factories.session_family(factories.alice())

        act(client, "sessionfamily", "end", family)

        [(_, data)] = events("session_ended")
        assert data["by"] == root.public_id

    def test_names_who_revoked_a_key(self, client: Client, root: User) -> None:
        factories.service_client()

        act(client, "apikey", "revoke", ApiKey.objects.get())

        [(_, data)] = events("api_key_revoked")
        assert data["by"] == root.public_id


class TestGroups:
    def test_names_who_changed_one(self, client: Client, root: User) -> None:
        client.post(reverse("admin:auth_group_add"), {"name": "savers"})

        data = {"group": "savers", "changed": ["name"], "by": root.public_id}
        assert events("group_changed") == [(None, data)]


class TestClerks:
    def test_give_nobody_rights(self, client: Client, clerk: User) -> None:
        alice = factories.alice()
        names = {"username": "alice", "email": "new@example.org", "is_active": "on"}

        client.post(address(alice), names | {"is_staff": "on", "is_superuser": "on"})

        alice.refresh_from_db()
        assert (alice.email, alice.is_staff, alice.is_superuser) == (names["email"], False, False)

    @pytest.mark.parametrize("who", ["clerk", "root"])
    def test_change_nobody_who_has_rights(self, client: Client, clerk: User, who: str) -> None:
        user = clerk if who == "clerk" else factories.staff(who)
        names = {"username": who, "email": "new@example.org", "is_active": "on"}

        assert client.post(address(user), names | {"is_superuser": "on"}).status_code == 403
        assert reset(client, user) == 403

        user.refresh_from_db()
        assert user.check_password(factories.PASSWORD)

    def test_give_nobody_rights_by_a_group(self, client: Client, clerk: User) -> None:
        """Not even their own group's members, such as themselves."""
        group = Group.objects.create(name="clerks")
        clerk.groups.add(group)
        clerk.user_permissions.add(*Permission.objects.filter(content_type__model="group"))
        every = [str(each.pk) for each in Permission.objects.all()]
        page = reverse("admin:auth_group_change", args=[group.pk])

        assert client.get(page).status_code == 200
        assert client.post(page, {"name": "clerks", "permissions": every}).status_code == 403
        assert client.get(reverse("admin:auth_group_add")).status_code == 403
        assert not group.permissions.exists()

    def test_reset_the_passwords_of_others(self, client: Client, clerk: User) -> None:
        assert reset(client, factories.alice()) == 302
