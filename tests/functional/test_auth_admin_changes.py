"""What staff change about people, and about themselves, and what others change at that moment."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.forms import people, staff
from accounts.models import (
    EmailKind,
    LinkPurpose,
    OneTimeLink,
    OutgoingEmail,
    SecurityEvent,
    SessionFamily,
    User,
)
from accounts.services.draw_link import draw_link
from accounts.services.queue_email import queue_email
from tests import browsers, factories
from tests.rest import Caller

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"
ANOTHER = "another passphrase"
OWN = {
    "old_password": factories.PASSWORD,
    "new_password1": ANOTHER,
    "new_password2": ANOTHER,
}


@pytest.fixture
def root(client: Client) -> User:
    """A superuser who is signed in."""
    root = factories.staff()
    browsers.sign_in(client, root)
    return root


@pytest.fixture
def alice() -> User:
    return factories.alice()


def address(person: User, page: str = "accounts_user_change") -> str:
    return reverse(f"admin:{page}", args=[person.pk])


def names(person: User, **changes: str) -> dict[str, str]:
    return {"username": person.username, "email": person.email, "is_active": "on"} | changes


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Do something once a function of the forms has judged, and before anything is stored."""

    def after(forms: ModuleType, judged: str, act: Callable[[], object]) -> None:
        real = getattr(forms, judged)

        def judge(*args: Any, **how: Any) -> Any:
            answer = real(*args, **how)
            act()
            return answer

        monkeypatch.setattr(forms, judged, judge)

    return after


def freeze(person: User) -> None:
    """Stand in for "this wasn't me": off, and the password that the owner has reset."""
    person = User.objects.get(pk=person.pk)
    person.set_password("the owner's own passphrase")
    person.is_active, person.frozen_at = False, timezone.now()
    person.save()


class TestOfOnesOwn:
    def test_a_change_of_password_undoes_nothing(
        self, client: Client, root: User, meanwhile: Callable[..., None]
    ) -> None:
        meanwhile(staff, "verify_password", lambda: freeze(root))

        answer = client.post("/admin/password_change/", OWN)

        root.refresh_from_db()
        assert answer.status_code == 401
        assert not root.is_active
        assert root.check_password("the owner's own passphrase")

    def test_of_two_changes_the_second_judged_what_is_no_more(
        self, client: Client, root: User, meanwhile: Callable[..., None]
    ) -> None:
        def reset() -> None:
            person = User.objects.get(pk=root.pk)
            person.set_password("the owner's own passphrase")
            person.save()

        meanwhile(staff, "verify_password", reset)

        client.post("/admin/password_change/", OWN)

        root.refresh_from_db()
        assert root.check_password("the owner's own passphrase")

    def test_gives_the_browser_a_new_key_and_ends_half_done_sign_ins(
        self, client: Client, root: User
    ) -> None:
        code = factories.totp_device(root)[1]
        halfway, old = Client(), browsers.key_of(client)
        halfway.post(LOGIN, {"username": "staff", "password": factories.PASSWORD})

        client.post("/admin/password_change/", OWN)
        halfway.post(LOGIN, {"otp": code()})

        assert client.get("/admin/").status_code == 200
        assert browsers.key_of(client) != old
        assert halfway.get("/admin/").status_code == 302

    def test_the_page_for_others_asks_no_password_so_it_is_not_for_oneself(
        self, client: Client, root: User
    ) -> None:
        new = {"password1": ANOTHER, "password2": ANOTHER, "usable_password": "true"}

        answer = client.post(address(root, "auth_user_password_change"), new)

        root.refresh_from_db()
        assert answer.headers["Location"] == "/admin/password_change/"
        assert root.check_password(factories.PASSWORD)

    def test_who_lost_their_rights_can_still_sign_out(self, client: Client, root: User) -> None:
        User.objects.filter(pk=root.pk).update(is_staff=False, is_superuser=False)

        assert client.post("/admin/logout/").status_code == 200

        assert SessionFamily.objects.get().end_reason == "logout"


class TestOfOthers:
    def test_an_edit_undoes_nothing(
        self, client: Client, root: User, alice: User, meanwhile: Callable[..., None]
    ) -> None:
        meanwhile(people, "_refuse_taken", lambda: freeze(alice))

        client.post(address(alice), names(alice, username="alicia"))

        alice.refresh_from_db()
        assert (alice.username, alice.username_folded) == ("alicia", "alicia")
        assert (alice.is_active, bool(alice.frozen_at)) == (False, True)
        assert alice.check_password("the owner's own passphrase")

    def test_a_new_password_undoes_nothing(
        self, client: Client, root: User, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = User.set_password

        def slow(person: User, password: str | None) -> None:
            User.objects.filter(pk=alice.pk).update(is_active=False)
            real(person, password)

        monkeypatch.setattr(User, "set_password", slow)
        new = {"password1": ANOTHER, "password2": ANOTHER, "usable_password": "true"}

        client.post(address(alice, "auth_user_password_change"), new)

        alice.refresh_from_db()
        assert alice.check_password(ANOTHER)
        assert not alice.is_active

    def test_a_deactivation_that_is_taken_back_finishes_no_sign_in(
        self, client: Client, root: User, alice: User
    ) -> None:
        code = factories.totp_device(alice)[1]
        who = {"username": "alice", "password": factories.PASSWORD}
        token = Caller({}).post("/api/v1/auth/token", who).json()["mfa_token"]

        client.post(address(alice), {"username": "alice", "email": alice.email})
        client.post(address(alice), names(alice))

        finish = {"mfa_token": token, "otp": code()}
        assert Caller({}).post("/api/v1/auth/token/totp", finish).status_code == 401

    def test_nor_one_of_the_admin(self, client: Client, root: User) -> None:
        other, halfway = factories.staff("other"), Client()
        code = factories.totp_device(other)[1]
        halfway.post(LOGIN, {"username": "other", "password": factories.PASSWORD})
        rights = {"is_staff": "on", "is_superuser": "on"}

        client.post(address(other), {"username": "other", "email": other.email, **rights})
        client.post(address(other), names(other, **rights))
        halfway.post(LOGIN, {"otp": code()})

        other.refresh_from_db()
        assert other.is_active
        assert halfway.get("/admin/").status_code == 302

    def test_a_clerk_signs_no_staff_out(self, client: Client, alice: User) -> None:
        clerk, boss, browser = factories.user("clerk", is_staff=True), factories.staff(), Client()
        clerk.user_permissions.add(Permission.objects.get(codename="change_user"))
        browsers.sign_in(client, clerk)
        browsers.sign_in(browser, boss)
        factories.session_family(alice)

        body = {"action": "sign_out_everywhere", "_selected_action": [str(alice.pk), str(boss.pk)]}
        client.post(reverse("admin:accounts_user_changelist"), body)

        assert browser.get("/admin/").status_code == 200
        assert not SessionFamily.objects.not_ended().filter(user=alice).exists()


class TestOfAnAddress:
    @pytest.fixture(autouse=True)
    def _changed(self, client: Client, root: User, alice: User) -> None:
        """Somebody has a link to another address, and staff change alice's."""
        for purpose in (LinkPurpose.CHANGE_EMAIL, LinkPurpose.RESET_PASSWORD):
            draw_link(purpose=purpose, user=alice, email="x@y.org", told_in=1, now=timezone.now())
        queue_email(kind=EmailKind.CHANGE_EMAIL, user=alice, address="thief@example.org")
        client.post(address(alice), names(alice, email="new@example.org"))

    def test_tells_the_former_address(self, alice: User) -> None:
        mail = OutgoingEmail.objects.get(kind=EmailKind.EMAIL_CHANGED)

        assert (mail.user, mail.address) == (alice, alice.email)
        assert mail.data == {"address": "", "user_agent": ""}

    def test_tells_the_log(self, alice: User, root: User) -> None:
        event = SecurityEvent.objects.get(code="email_changed")

        assert (event.user, event.data) == (alice, {"by": root.public_id})

    def test_ends_what_others_have_asked_for(self, alice: User) -> None:
        assert not OneTimeLink.objects.usable(timezone.now()).filter(user=alice).exists()
        assert not OutgoingEmail.objects.filter(kind=EmailKind.CHANGE_EMAIL).exists()
