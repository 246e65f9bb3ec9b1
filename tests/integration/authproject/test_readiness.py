"""Health: /livez and /readyz."""

import pytest
from django.test import Client

from accounts.services.rotate_signing_keys import ensure_signing_keys
from authproject.observability import health

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
