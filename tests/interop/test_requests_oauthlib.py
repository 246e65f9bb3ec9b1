"""requests-oauthlib keeps a session alive by itself, through the OAuth endpoint and the form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from requests_oauthlib import OAuth2Session

from accounts.models import SessionFamily
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.servers import Server, running_server
from tests.tokens import claims_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FIRST_PARTY = "first-party"
TIMES, LIFE = 3, 5  # seconds, of which a busy machine may need some


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve without TLS, which oauthlib otherwise insists on; access tokens live briefly."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    ensure_signing_keys()
    env = {
        "ISSUER_URL": settings.ISSUER_URL,
        "RATE_LIMITS": "off",
        "ACCESS_TOKEN_LIFETIME": str(LIFE),
    }
    with running_server(env) as started:
        yield started


def signed_in(server: Server, refresh_url: str, kept: list[dict[str, Any]]) -> OAuth2Session:
    """Return a session as an app has it that was started again: its access token is outdated."""
    _, pair = factories.session_family(factories.alice())
    token = {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "token_type": "Bearer",
        "expires_at": (timezone.now() - timedelta(minutes=1)).timestamp(),
    }
    return OAuth2Session(
        FIRST_PARTY,
        token=token,
        auto_refresh_url=f"{server.url}{refresh_url}",
        auto_refresh_kwargs={"client_id": FIRST_PARTY},
        token_updater=kept.append,
    )


@pytest.mark.parametrize("refresh_url", ["/oauth/token", "/token/refresh"])
def test_it_refreshes_by_itself_and_goes_on(server: Server, refresh_url: str) -> None:
    kept: list[dict[str, Any]] = []
    with signed_in(server, refresh_url, kept) as app:
        for number in range(TIMES):
            time.sleep(LIFE + 1 if number else 0)  # oauthlib rounds
            answer = app.get(f"{server.url}/api/v1/me", timeout=30)
            assert (answer.status_code, answer.json()["username"]) == (200, "alice")

    assert len(kept) == TIMES
    names = {claims_of(token["refresh_token"])["jti"] for token in kept}
    assert len(names) == TIMES
    assert SessionFamily.objects.get().ended_at is None


def test_it_narrows_the_scope(server: Server) -> None:
    kept: list[dict[str, Any]] = []
    with signed_in(server, "/oauth/token", kept) as app:
        app.scope = ["profile"]
        token = app.refresh_token(f"{server.url}/oauth/token", client_id=FIRST_PARTY, timeout=10)

    assert claims_of(token["access_token"])["scope"] == "profile"


def test_it_learns_that_the_session_ended(server: Server) -> None:
    with signed_in(server, "/oauth/token", []) as app:
        SessionFamily.objects.update(ended_at=timezone.now(), end_reason="logout")

        with pytest.raises(Exception, match="invalid_grant"):
            app.get(f"{server.url}/api/v1/me", timeout=10)
