"""Health: /livez and /readyz."""

from datetime import timedelta

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from authproject.observability import health
from batchtokens.models import LedgerEntry
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.seal import Sealing

pytestmark = pytest.mark.django_db(transaction=True)


def test_livez_asks_nothing() -> None:
    assert Client().get("/livez").json() == {"status": "alive"}


def test_readyz_names_the_missing_keys() -> None:
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["keys"].startswith("no active key")


def test_readyz_is_200_when_this_process_can_serve() -> None:
    ensure_signing_keys()
    response = Client().get("/readyz")
    assert response.status_code == 200
    assert set(response.json()["parts"].values()) == {health.OK}


def test_readyz_is_503_when_the_keys_do_not_open(settings: Settings) -> None:
    ensure_signing_keys()
    forget_key_ring()
    settings.FIELD_ENCRYPTION_KEYS = [bytes(range(32))]
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["keys"].startswith("no active key that opens: access")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "10.1.2.3", "not.ours.example", "_"])
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_neither_our_name_nor_https(settings: Settings, path: str, host: str) -> None:
    settings.ALLOWED_HOSTS = ["auth.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    ensure_signing_keys()
    assert Client().get(path, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(("seconds", "waits"), [(3, False), (12, True)])
def test_readyz_reports_a_sealer_that_is_behind_and_serves(seconds: int, waits: bool) -> None:
    ensure_signing_keys()
    Sealing().look()
    at = database_now() - timedelta(seconds=seconds)
    LedgerEntry.objects.create(seq=1000, kind="key_added", at=at, entry="{}", hash="h")

    response = Client().get("/readyz")

    assert response.status_code == 200
    assert (response.json()["parts"]["sealer"] != health.OK) == waits


def test_readyz_is_content_once_it_is_sealed() -> None:
    ensure_signing_keys()
    at = database_now() - timedelta(minutes=1)
    LedgerEntry.objects.create(seq=1000, kind="key_added", at=at, entry="{}", hash="h")
    Sealing().look()
    assert Client().get("/readyz").json()["parts"]["sealer"] == health.OK
