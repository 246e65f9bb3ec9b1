"""Where EMAIL_VERIFICATION is `required`, nobody signs in before their address is verified."""

from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import SecurityEvent, SessionFamily, SignInChallenge, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.budgets import is_own
from tests.rest import code_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _required(settings: Any) -> None:
    ensure_signing_keys()
    settings.EMAIL_VERIFICATION = "required"


@pytest.fixture
def alice() -> User:
    return factories.alice(email_verified_at=None)


def sign_in(client: Client, password: str = factories.PASSWORD, **members: str) -> Any:
    body = {"username": "alice", "password": password, **members}
    return client.post("/api/v1/auth/token", body, content_type="application/json")


def test_refuses_as_if_the_password_were_wrong(client: Client, alice: User) -> None:
    answer = sign_in(client)

    assert code_of(answer) == (401, "invalid_credentials")
    assert not SessionFamily.objects.exists()
    event = SecurityEvent.objects.get(code="sign_in_refused")
    assert event.data == {"reason": "email_not_verified"}


def test_who_registers_does_not_learn_whether_the_address_was_free(client: Client) -> None:
    factories.bob()

    free = refusal_after_registering(client, "mallory", "nobody@example.org")
    taken = refusal_after_registering(client, "malory", "bob@example.org")

    assert free == taken
    assert free[:2] == (401, "invalid_credentials")


def refusal_after_registering(client: Client, name: str, email: str) -> tuple[int, str, int]:
    """Register, sign in with that password, and return the refusal and its statements."""
    password = factories.PASSWORD
    post = partial(client.post, content_type="application/json")
    body = {"username": name, "email": email, "password": password}
    assert post("/api/v1/auth/register", body).status_code == 201
    with CaptureQueriesContext(connection) as captured:
        refused = post("/api/v1/auth/token", {"username": name, "password": password})
    return *code_of(refused), sum(is_own(query["sql"]) for query in captured)


def test_asks_for_no_code_before(client: Client, alice: User) -> None:
    factories.totp_device(alice)

    assert code_of(sign_in(client)) == (401, "invalid_credentials")
    assert not SignInChallenge.objects.exists()


def test_lets_in_whose_address_is_verified(client: Client, alice: User) -> None:
    User.objects.update(email_verified_at=timezone.now())

    assert sign_in(client).status_code == 200


def test_may_be_optional(client: Client, alice: User, settings: Any) -> None:
    settings.EMAIL_VERIFICATION = "optional"

    assert sign_in(client).status_code == 200


def test_the_admin_asks_for_it_too(client: Client) -> None:
    factories.user("staff", is_staff=True, email_verified_at=None)

    client.post("/admin/login/", {"username": "staff", "password": factories.PASSWORD})

    assert "_auth_user_id" not in client.session


def test_who_is_made_by_others_counts_as_verified() -> None:
    User.objects.create_superuser("root", "root@example.org", factories.PASSWORD)

    assert User.objects.get().email_verified_at is not None


def test_who_is_made_in_the_admin_counts_as_verified(client: Client) -> None:
    client.force_login(factories.staff())
    form = {
        "username": "dora",
        "email": "dora@example.org",
        "usable_password": "true",
        "password1": factories.PASSWORD,
        "password2": factories.PASSWORD,
    }

    client.post("/admin/accounts/user/add/", form)

    assert User.objects.get(username="dora").email_verified_at is not None
