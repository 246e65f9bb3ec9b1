"""Nothing that opens something stays behind: neither in rows nor in logs; and volume is limited."""

import logging
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from accounts.models import User
from tests.federation import FEDERATION, Browser
from tests.identity_providers import CLIENT_SECRET, OidcProvider
from tests.leaks import database_dumps, leaks


@pytest.mark.django_db(transaction=True)
def test_leaves_no_secret_behind(
    browser: Browser, corp: OidcProvider, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    begun = browser.begin()
    query = corp.approve(begun.json()["authorization_url"])
    pair = browser.finish(query).json()
    browser.finish(query)
    browser.sign_in(corp, iss="https://rogue.example")

    asked = parse_qs(urlsplit(begun.json()["authorization_url"]).query)
    token_request = next(each for each in corp.asked if each.path == "/token")
    secrets = {
        "state": query["state"],
        "code": query["code"],
        "nonce": asked["nonce"][0],
        "verifier": token_request.form["code_verifier"],
        "browser": begun.cookies["federation"].value,
        "provider's token": next(iter(corp.access_tokens)),
        "client secret": CLIENT_SECRET,
        "access": pair["access"],
        "refresh": pair["refresh"],
    }
    logs = "\n".join(str(vars(record)) for record in caplog.records)

    places = database_dumps() | {"log": logs.encode()}
    assert leaks({name: value.encode() for name, value in secrets.items()}, places) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["begin", "callback"])
def test_limits_tries(
    browser: Browser,
    corp: OidcProvider,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    settings.RATE_LIMITS = True
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))

    def ask() -> int:
        answer = browser.begin() if name == "begin" else browser.finish({"state": "x"})
        return int(answer.status_code)

    statuses = [ask() for _ in range(12)]

    assert statuses[10:] == [429, 429]
    assert 429 not in statuses[:10]


@pytest.mark.django_db
def test_limits_the_list(browser: Browser, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RATE_LIMITS = True
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))

    statuses = [browser.client.get(FEDERATION).status_code for _ in range(51)]

    assert statuses.count(429) == 1
