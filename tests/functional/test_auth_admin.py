"""The admin of accounts: pages open, nothing secret shows, what is appended is only read."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import (
    ApiKey,
    RateCounter,
    RecoveryCode,
    SecurityEvent,
    ServiceClient,
    SessionFamily,
    SigningKey,
    TotpDevice,
    User,
)
from tests import factories

pytestmark = pytest.mark.django_db
MODELS = (User, SessionFamily, ServiceClient, ApiKey, SigningKey, SecurityEvent)
READ_ONLY = (SessionFamily, ApiKey, SigningKey, SecurityEvent)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


def page(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:accounts_{model._meta.model_name}_{name}", args=args)


@pytest.fixture
def rows() -> dict[type[Any], Any]:
    """One row of each model."""
    alice = factories.alice()
    family, _ = factories.session_family(alice)
    new = factories.service_client("gateway", delivery_url="https://gateway.example/due")
    return {
        User: alice,
        SessionFamily: family,
        ServiceClient: new.client,
        ApiKey: ApiKey.objects.get(),
        SigningKey: SigningKey.objects.first(),
        SecurityEvent: SecurityEvent.objects.first(),
    }


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_shows(staff: Client, rows: dict[type[Any], Any], model: type[Any]) -> None:
    assert staff.get(page(model, "changelist")).status_code == 200
    assert staff.get(page(model, "changelist"), {"q": "alice"}).status_code == 200
    assert staff.get(page(model, "change", rows[model].pk)).status_code == 200


def test_shows_nothing_secret(staff: Client, rows: dict[type[Any], Any]) -> None:
    secrets = [
        rows[ApiKey].secret_digest,
        rows[SessionFamily].current_jti_digest,
        rows[ServiceClient].delivery_secret(),
        "private_sealed",
        "delivery_secret",
    ]

    for model in MODELS:
        text = staff.get(page(model, "change", rows[model].pk)).content.decode()
        assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    ("model", "hidden"),
    [
        (ApiKey, "secret_digest"),
        (SessionFamily, "current_jti_digest"),
        (SigningKey, "private_sealed"),
        (ServiceClient, "delivery_secret_sealed"),
        (TotpDevice, "key_sealed"),
        (RecoveryCode, "digest"),
        (User, "password"),
    ],
)
def test_answers_no_guesses_at_what_it_hides(staff: Client, model: type[Any], hidden: str) -> None:
    assert model._meta.get_field(hidden)
    answer = staff.get(page(model, "changelist"), {f"{hidden}__startswith": "a"})

    assert answer.status_code == 400


@pytest.mark.parametrize("model", READ_ONLY)
def test_changes_nothing_by_hand(
    staff: Client, rows: dict[type[Any], Any], model: type[Any]
) -> None:
    assert staff.post(page(model, "change", rows[model].pk), {}).status_code == 403
    assert staff.get(page(model, "add")).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_deletes_nothing(staff: Client, rows: dict[type[Any], Any], model: type[Any]) -> None:
    assert staff.post(page(model, "delete", rows[model].pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=rows[model].pk).exists()


def test_keeps_people_out(client: Client) -> None:
    client.force_login(factories.alice())

    assert client.get(page(User, "changelist")).status_code == 302


def new_person(**changes: str) -> dict[str, str]:
    passwords = dict.fromkeys(("password1", "password2"), factories.PASSWORD)
    names = {"username": "dave", "email": "dave@example.org", "usable_password": "true"}
    return names | passwords | changes


def test_adds_a_person(staff: Client) -> None:
    staff.post(page(User, "add"), new_person())

    assert User.objects.get(username="dave").check_password(factories.PASSWORD)
    assert SecurityEvent.objects.get(code="account_created").data["changed"]


@pytest.mark.parametrize(
    "taken", [{"username": "ALICE"}, {"email": "Alice@Example.org"}, {"username": "da ve"}]
)
def test_refuses_a_name_with_a_sentence(staff: Client, taken: dict[str, str]) -> None:
    factories.alice()

    answer = staff.post(page(User, "add"), new_person(**taken))

    assert answer.status_code == 200
    assert not User.objects.filter(username="dave").exists()


def test_disables_a_person(staff: Client) -> None:
    alice = factories.alice()
    token = factories.access_token_for(alice)

    staff.post(page(User, "change", alice.pk), {"username": "alice", "email": alice.email})

    event = SecurityEvent.objects.get(code="account_changed")
    assert (event.user, event.data["changed"]) == (alice, ["is_active"])
    assert Client().get("/api/v1/me", headers=factories.bearer(token)).status_code == 401


def run_action(staff: Client, model: type[Any], action: str, row: Any) -> None:
    body = {"action": action, "_selected_action": [str(row.pk)]}
    assert staff.post(page(model, "changelist"), body).status_code == 302


def test_signs_somebody_out_everywhere(staff: Client, rows: dict[type[Any], Any]) -> None:
    run_action(staff, User, "sign_out_everywhere", rows[User])

    assert not SessionFamily.objects.not_ended().filter(user=rows[User]).exists()


def test_ends_a_session(staff: Client, rows: dict[type[Any], Any]) -> None:
    run_action(staff, SessionFamily, "end", rows[SessionFamily])

    assert not SessionFamily.objects.not_ended().filter(pk=rows[SessionFamily].pk).exists()


@pytest.mark.parametrize(("model", "action"), [(SessionFamily, "end"), (ApiKey, "revoke")])
def test_lets_nobody_act_who_may_only_look(
    client: Client, rows: dict[type[Any], Any], model: type[Any], action: str
) -> None:
    bob = factories.user("bob", is_staff=True)
    bob.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client.force_login(bob)

    body = {"action": action, "_selected_action": [str(rows[model].pk)]}
    client.post(page(model, "changelist"), body)

    assert SessionFamily.objects.not_ended().exists()
    assert ApiKey.objects.get().revoked_at is None


def test_revokes_a_key(staff: Client, rows: dict[type[Any], Any]) -> None:
    run_action(staff, ApiKey, "revoke", rows[ApiKey])

    assert ApiKey.objects.get().revoked_at


def test_changes_a_client(staff: Client, rows: dict[type[Any], Any]) -> None:
    url = page(ServiceClient, "change", rows[ServiceClient].pk)
    body = {"audience": "", "delivery_url": "https://b.example/", "scopes": ["redeem"]}

    staff.post(url, body)

    client = ServiceClient.objects.get()
    assert (client.audience, client.scopes, client.is_active) == (None, ["redeem"], False)
    assert SecurityEvent.objects.filter(code="client_changed", client=client).count() == 1


@pytest.mark.parametrize("audience", ["nonsense", "https://a.example/#x", "ftp://a.example"])
def test_refuses_what_is_no_audience(
    staff: Client, rows: dict[type[Any], Any], audience: str
) -> None:
    url = page(ServiceClient, "change", rows[ServiceClient].pk)

    answer = staff.post(url, {"audience": audience, "delivery_url": "https://b.example/"})

    assert answer.status_code == 200
    assert ServiceClient.objects.get().audience is None


def test_registers_every_model() -> None:
    models = apps.get_app_config("accounts").get_models()

    assert all(admin.site.is_registered(model) for model in models)


def test_lists_counters(staff: Client) -> None:
    RateCounter.objects.create(key="a", value=1, expires_at=1)

    assert staff.get(page(RateCounter, "changelist")).status_code == 200


def test_opens_every_list(staff: Client) -> None:
    for model in apps.get_app_config("accounts").get_models():
        assert staff.get(page(model, "changelist"), {"q": "alice"}).status_code == 200
