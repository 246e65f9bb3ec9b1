"""services.authenticate_client: names, keys, and what they open."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.errors import InvalidClient, InvalidScope
from accounts.models import ApiKey, SecurityEvent, ServiceClient
from accounts.services.authenticate_api_key import authenticate_api_key
from accounts.services.authenticate_client import authenticate_client
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.revoke_api_key import revoke_api_key
from tests import factories

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture
def gateway() -> NewServiceClient:
    return factories.service_client("gateway", scopes=["introspect", "redeem"])


def authenticate(secret: str, client_id: str = "gateway") -> ServiceClient:
    return authenticate_client(client_id=client_id, client_secret=secret)


def test_lets_a_client_in(gateway: NewServiceClient) -> None:
    client = authenticate(gateway.secret)

    assert client == gateway.client
    assert client.granted_scopes == {"introspect", "redeem"}


def test_refuses_another_clients_secret(gateway: NewServiceClient) -> None:
    factories.service_client("trigger")

    with pytest.raises(InvalidClient):
        authenticate(gateway.secret, "trigger")


@pytest.mark.parametrize("client_id", ["gateway ", "Gateway", "", "unknown"])
def test_refuses_another_name(gateway: NewServiceClient, client_id: str) -> None:
    with pytest.raises(InvalidClient):
        authenticate(gateway.secret, client_id)


def test_refuses_a_disabled_client(gateway: NewServiceClient) -> None:
    ServiceClient.objects.update(is_active=False)

    with pytest.raises(InvalidClient):
        authenticate(gateway.secret)


def test_tells_a_mistyped_key_by_its_checksum(gateway: NewServiceClient) -> None:
    last = "0" if gateway.secret[-1] != "0" else "1"
    with pytest.raises(InvalidClient):
        authenticate_api_key(key=gateway.secret[:-1] + last)

    assert SecurityEvent.objects.get(code="client_refused").data == {"reason": "malformed_key"}


def test_refuses_a_right_identifier_with_another_secret(gateway: NewServiceClient) -> None:
    ApiKey.objects.update(secret_digest="0" * 64)

    with pytest.raises(InvalidClient):
        authenticate(gateway.secret)


def test_refuses_a_revoked_key(gateway: NewServiceClient) -> None:
    api_key = ApiKey.objects.get()

    assert revoke_api_key(api_key=api_key)
    assert not revoke_api_key(api_key=api_key)

    with pytest.raises(InvalidClient):
        authenticate(gateway.secret)


@pytest.mark.parametrize(("offset", "opens"), [(-SECOND, True), (SECOND * 0, False)])
def test_refuses_an_expired_key(gateway: NewServiceClient, offset: timedelta, opens: bool) -> None:
    expires_at = timezone.now() + timedelta(days=1)
    new = create_api_key(owner=gateway.client, name="daily", expires_at=expires_at)
    now = expires_at + offset

    try:
        authenticate_api_key(key=new.text, now=now)
        opened = True
    except InvalidClient:
        opened = False

    assert opened is opens


def test_narrows_a_client_to_its_key(gateway: NewServiceClient) -> None:
    new = create_api_key(owner=gateway.client, name="reader", scopes=["introspect"])

    assert authenticate(new.text).granted_scopes == {"introspect"}


def test_narrows_a_key_to_its_client(gateway: NewServiceClient) -> None:
    ServiceClient.objects.update(scopes=["redeem"])

    assert authenticate(gateway.secret).granted_scopes == {"redeem"}


def test_gives_no_key_more_than_its_client(gateway: NewServiceClient) -> None:
    with pytest.raises(InvalidScope):
        create_api_key(owner=gateway.client, name="greedy", scopes=["token_exchange"])


def test_notes_a_use_once_a_minute(gateway: NewServiceClient) -> None:
    now = timezone.now() + timedelta(hours=1)

    for seconds in (0, 59, 60):
        authenticate_api_key(key=gateway.secret, now=now + seconds * SECOND)
        noted = ApiKey.objects.get().last_used_at
        assert noted == (now if seconds < 60 else now + 60 * SECOND)


def test_stores_no_secret(gateway: NewServiceClient) -> None:
    rows = str([*ApiKey.objects.values(), *ServiceClient.objects.values()])

    assert gateway.secret not in rows
    assert gateway.secret[20:53] not in rows
