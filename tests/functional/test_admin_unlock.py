"""Staff see how often somebody failed at a person's authenticators, and can forget it."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import (
    MOST_FAILURES,
    Authenticator,
    AuthenticatorKind,
    SecurityEvent,
    User,
)
from tests import factories

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/accounts/user/"


@pytest.fixture
def alice() -> User:
    """Somebody of whom both authenticators are disabled."""
    alice = factories.alice()
    for kind in AuthenticatorKind:
        Authenticator.objects.create(user=alice, kind=kind, failures=MOST_FAILURES)
    return alice


@pytest.fixture
def root(client: Client) -> User:
    root = factories.staff()
    client.force_login(root)
    return root


def clerk_with(client: Client, *permissions: str) -> User:
    clerk = factories.user("clerk", is_staff=True)
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client.force_login(clerk)
    return clerk


def unlock(client: Client, person: User) -> Any:
    body = {"action": "unlock", "_selected_action": [str(person.pk)]}
    return client.post(PEOPLE, body, follow=True)


def failures(person: User) -> set[int]:
    return set(Authenticator.objects.filter(user=person).values_list("failures", flat=True))


def test_unlocks_both(client: Client, root: User, alice: User) -> None:
    unlock(client, alice)

    assert failures(alice) == {0}
    event = SecurityEvent.objects.get(code="account_unlocked")
    assert (event.user, event.data) == (alice, {"by": root.public_id})


def test_shows_what_is_locked(client: Client, root: User, alice: User) -> None:
    factories.bob()

    people = {locked: client.get(PEOPLE, {"locked": locked}) for locked in ("yes", "no")}

    assert [user.username for user in people["yes"].context["cl"].result_list] == ["alice"]
    assert "alice" not in {user.username for user in people["no"].context["cl"].result_list}
    page = client.get(f"{PEOPLE}{alice.pk}/change/").content.decode()
    assert "password: 100 of 100; second factor: 100 of 100" in page


def test_a_clerk_may_with_the_permission(client: Client, alice: User) -> None:
    clerk_with(client, "view_user", "change_user", "change_authenticator")

    unlock(client, alice)

    assert failures(alice) == {0}


def test_a_clerk_may_not_without(client: Client, alice: User) -> None:
    clerk_with(client, "view_user", "change_user", "view_authenticator")

    unlock(client, alice)

    assert failures(alice) == {MOST_FAILURES}


def test_a_clerk_unlocks_no_staff(client: Client, alice: User) -> None:
    clerk_with(client, "view_user", "change_user", "change_authenticator")
    User.objects.filter(pk=alice.pk).update(is_staff=True)

    answer = unlock(client, alice)

    assert failures(alice) == {MOST_FAILURES}
    assert "Superusers alone" in answer.content.decode()


def test_letting_a_frozen_person_in_thaws_them(client: Client, root: User) -> None:
    alice = factories.alice()
    User.objects.filter(pk=alice.pk).update(is_active=False, frozen_at=alice.date_joined)

    names = {"username": "alice", "email": alice.email, "is_active": "on"}
    assert client.post(f"{PEOPLE}{alice.pk}/change/", names).status_code == 302

    alice.refresh_from_db()
    assert (alice.is_active, alice.frozen_at) == (True, None)
