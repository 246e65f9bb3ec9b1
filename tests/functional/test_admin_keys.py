"""Staff and keys: those of both owners are listed without their secrets, key sets are checked."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, SecurityEvent, ServiceClient
from accounts.services.create_api_key import NewApiKey, create_api_key
from tests import factories
from tests.assertions import new_key, public

pytestmark = pytest.mark.django_db

DELIVERIES = "https://gateway.example/due"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


@pytest.fixture
def hers() -> NewApiKey:
    ends = timezone.now() + timedelta(days=1)
    return create_api_key(
        owner=factories.alice(), name="laptop", scopes=["profile"], expires_at=ends
    )


@pytest.fixture
def gateway() -> ServiceClient:
    new = factories.service_client("gateway", scopes=["redeem"], delivery_url=DELIVERIES)
    return new.client


def change(staff: Client, gateway: ServiceClient, jwks: Any) -> Any:
    url = reverse("admin:accounts_serviceclient_change", args=[gateway.pk])
    known = {"audience": "", "delivery_url": DELIVERIES, "scopes": ["redeem"], "is_active": "on"}
    return staff.post(url, known | {"jwks": json.dumps(jwks)})


def test_lists_the_keys_of_people_and_clients(
    staff: Client, hers: NewApiKey, gateway: ServiceClient
) -> None:
    page = staff.get(reverse("admin:accounts_apikey_changelist")).content.decode()

    assert "laptop" in page
    assert "gateway" in page


def test_finds_a_person_s_keys(staff: Client, hers: NewApiKey, gateway: ServiceClient) -> None:
    url = reverse("admin:accounts_apikey_changelist")

    page = staff.get(url, {"q": "alice"}).content.decode()

    assert "1 API key" in page or "1 api key" in page
    assert "laptop" in page


def test_shows_no_key(staff: Client, hers: NewApiKey) -> None:
    page = staff.get(reverse("admin:accounts_apikey_change", args=[hers.api_key.pk]))

    for secret in (hers.text, hers.text[20:53], hers.api_key.secret_digest):
        assert secret not in page.content.decode()


def test_revokes_a_person_s_key(staff: Client, hers: NewApiKey) -> None:
    body = {"action": "revoke", "_selected_action": [str(hers.api_key.pk)]}

    staff.post(reverse("admin:accounts_apikey_changelist"), body)

    assert ApiKey.objects.get().revoked_at
    event = SecurityEvent.objects.get(code="api_key_revoked")
    assert event.user == hers.api_key.user
    assert event.data["by"].startswith("usr_")


def test_gives_a_client_public_keys(staff: Client, gateway: ServiceClient) -> None:
    jwks = public(new_key(), new_key("RS256", "k2"))

    assert change(staff, gateway, jwks).status_code == 302

    stored = ServiceClient.objects.get().jwks
    assert [key["kid"] for key in stored["keys"]] == ["k1", "k2"]
    assert SecurityEvent.objects.get(code="client_changed").data["changed"] == ["jwks"]


@pytest.mark.parametrize("jwks", [{}, None])
def test_takes_them_away(staff: Client, gateway: ServiceClient, jwks: Any) -> None:
    ServiceClient.objects.update(jwks=public(new_key()))

    assert change(staff, gateway, jwks).status_code == 302

    assert ServiceClient.objects.get().jwks == {}


def test_stores_no_private_key(staff: Client, gateway: ServiceClient) -> None:
    private = dict(new_key().as_dict(private=True))

    refused: list[Any] = [{"keys": [private]}, {"keys": []}, "keys", {"keys": [{"kty": "oct"}]}]
    for jwks in refused:
        assert change(staff, gateway, jwks).status_code == 200
        assert ServiceClient.objects.get().jwks == {}
