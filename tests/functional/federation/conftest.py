"""Alice is linked at an honest provider; another one, configured too, is the attacker's."""

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.models import User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.federation import Browser, configure, link
from tests.identity_providers import OidcProvider, serving


@pytest.fixture
def corp(settings: Any) -> Iterator[OidcProvider]:
    """Serve the honest provider, alone; tests make it hostile."""
    ensure_signing_keys()
    provider = OidcProvider()
    configure(settings, provider.entry("corp", label="Corp"))
    with serving(provider):
        yield provider


@pytest.fixture
def rogue(settings: Any, corp: OidcProvider) -> Iterator[OidcProvider]:
    """Serve the attacker's beside it."""
    provider = OidcProvider()
    configure(settings, corp.entry("corp"), provider.entry("rogue"))
    with serving(provider):
        yield provider


@pytest.fixture
def alice(corp: OidcProvider) -> User:
    alice = factories.alice()
    link(alice, corp)
    return alice


@pytest.fixture
def browser() -> Browser:
    return Browser()
