"""Sign-in and linking at npm's oidc-provider, a real process, by a browser that httpx plays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings as django_settings

from accounts.models import FederatedIdentity, FederationRequest, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.factories import bearer
from tests.federation import FEDERATION, IDENTITIES, configure, nobody_came
from tests.servers import free_port, running, wait_until_ready
from tests.tokens import claims_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


@pytest.fixture
def provider(scripts: Path, issuer: str) -> Iterator[str]:
    """Run the provider, and return its issuer."""
    ensure_signing_keys()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = django_settings.DATA_DIR / f"oidc-provider-{port}.log"
    redirect_uri = f"{issuer}{FEDERATION}/corp/callback"
    command = ["node", str(scripts / "oidc_provider.mjs"), str(port), redirect_uri]
    with running(command, log=log) as process:
        wait_until_ready(f"{url}/.well-known/openid-configuration", process, log)
        yield url


@pytest.fixture
def browser(issuer: str) -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20, headers={"X-Account": "alice"}) as browser:
        yield browser


def configure_corp(settings: Any, provider: str, *, client: str = "ES256", **more: Any) -> None:
    entry = {"name": "corp", "kind": "oidc", "issuer": provider}
    configure(settings, entry | {"client_id": client, "client_secret": "secret"} | more)


def travel(browser: httpx.Client, begun: httpx.Response, issuer: str) -> str:
    """Follow the redirects, and return the one that leads back; it is not followed."""
    assert begun.status_code == 200, begun.text
    url = str(begun.json()["authorization_url"])
    while not url.startswith(issuer):
        answer = browser.get(url)
        assert answer.is_redirect, answer.text
        url = str(answer.url.join(answer.headers["Location"]))
    return url


def begin(browser: httpx.Client, issuer: str) -> httpx.Response:
    return browser.post(f"{issuer}{FEDERATION}/corp", json={})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signs_up_and_in(
    browser: httpx.Client, provider: str, issuer: str, settings: Any, algorithm: str
) -> None:
    configure_corp(settings, provider, client=algorithm, sign_up=True)

    pairs = [browser.get(travel(browser, begin(browser, issuer), issuer)) for _ in range(2)]

    assert [pair.status_code for pair in pairs] == [200, 200], pairs[0].text
    user = User.objects.get()
    assert (user.email, user.username) == ("alice@example.org", "alice")
    assert {claims_of(pair.json()["access"])["sub"] for pair in pairs} == {user.public_id}
    me = browser.get(f"{issuer}/api/v1/me", headers=bearer(pairs[1].json()["access"]))
    assert me.json()["id"] == user.public_id


def test_links_and_signs_in(
    browser: httpx.Client, provider: str, issuer: str, settings: Any
) -> None:
    configure_corp(settings, provider)
    bob = factories.bob()
    headers = bearer(factories.access_token_for(bob))

    begun = browser.post(f"{issuer}{IDENTITIES}/corp", headers=headers)
    linked = browser.get(travel(browser, begun, issuer))
    pair = browser.get(travel(browser, begin(browser, issuer), issuer))

    assert linked.json()["label"] == "alice@example.org"
    assert claims_of(pair.json()["access"])["sub"] == bob.public_id


def test_nobody_unlinked_comes_in(
    browser: httpx.Client, provider: str, issuer: str, settings: Any
) -> None:
    factories.alice()  # whose address is the one that the provider tells
    configure_corp(settings, provider, sign_up=True)

    answer = browser.get(travel(browser, begin(browser, issuer), issuer))

    assert (answer.status_code, answer.json()["code"]) == (403, "identity_not_linked")
    assert nobody_came()


def test_a_code_opens_once(
    browser: httpx.Client, provider: str, issuer: str, settings: Any
) -> None:
    """Neither with its own state, nor with that of another way."""
    configure_corp(settings, provider, sign_up=True)
    back = travel(browser, begin(browser, issuer), issuer)
    assert browser.get(back).status_code == 200

    again = browser.get(back)
    FederationRequest.objects.update(used_at=None)
    as_new = browser.get(back)
    other = httpx.URL(travel(browser, begin(browser, issuer), issuer))
    swapped = browser.get(other.copy_set_param("code", httpx.URL(back).params["code"]))

    for answer in (again, as_new, swapped):
        assert (answer.status_code, answer.json()["code"]) == (401, "federation_refused")


def test_a_stolen_code_fails_in_another_way(
    browser: httpx.Client, provider: str, issuer: str, settings: Any
) -> None:
    """The thief has the code before it was used: the provider checks the verifier."""
    configure_corp(settings, provider, sign_up=True)
    stolen = httpx.URL(travel(browser, begin(browser, issuer), issuer)).params["code"]
    with httpx.Client(timeout=20, headers={"X-Account": "mallory"}) as thief:
        own = httpx.URL(travel(thief, begin(thief, issuer), issuer))

        answer = thief.get(own.copy_set_param("code", stolen))

    assert answer.json()["code"] == "federation_refused"
    assert not FederatedIdentity.objects.exists()


def test_names_itself(browser: httpx.Client, provider: str, issuer: str, settings: Any) -> None:
    configure_corp(settings, provider, sign_up=True)
    back = httpx.URL(travel(browser, begin(browser, issuer), issuer))

    assert back.params["iss"] == provider
    assert urlsplit(str(back)).path == f"{FEDERATION}/corp/callback"
    assert browser.get(back.copy_remove_param("iss")).json()["code"] == "federation_refused"
