"""The product over real HTTP, where its issuer's name and its address agree."""

from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer


@pytest.fixture
def issuer(live_server: LiveServer, settings: Any) -> str:
    """Serve, and return the issuer's URL."""
    settings.ISSUER_URL = live_server.url
    return str(live_server.url)


@pytest.fixture
def jwks_uri(issuer: str) -> str:
    return f"{issuer}/.well-known/jwks.json"
