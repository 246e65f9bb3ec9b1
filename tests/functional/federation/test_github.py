"""Sign-in at a GitHub Enterprise server on loopback; the public one differs in its addresses."""

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.errors import FederationRefused
from accounts.federation.connections import connect
from accounts.federation.providers import parse_providers
from accounts.federation.trips import Trip
from accounts.models import FederatedIdentity, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.federation import Browser, configure, link, refused
from tests.identity_providers import GitHubServer, as_json, serving
from tests.loopback import Said

pytestmark = pytest.mark.django_db
PUBLIC = '[{"name":"github","kind":"github","client_id":"id","client_secret":"s"}]'
MINE = {"email": "octo@example.org", "primary": True, "verified": True}


@pytest.fixture
def github(settings: Any) -> Iterator[GitHubServer]:
    ensure_signing_keys()
    server = GitHubServer()
    configure(settings, server.entry())
    with serving(server):
        yield server


@pytest.fixture
def octocat(github: GitHubServer) -> User:
    alice = factories.alice()
    link(alice, github, sub="583231", provider="github")
    return alice


def test_signs_in_by_number(browser: Browser, github: GitHubServer, octocat: User) -> None:
    github.user["login"] = "renamed"

    answer = browser.sign_in(github, "github")

    assert answer.status_code == 200, answer.content
    assert "/api/v3/user/emails" not in github.paths()


def test_a_login_that_was_taken_over_is_nobody(
    browser: Browser, github: GitHubServer, octocat: User
) -> None:
    github.user = {"id": 7, "login": "octocat"}

    assert refused(browser.sign_in(github, "github"), "identity_not_linked")


@pytest.mark.parametrize("number", [None, True, 0, -1, 2**63, "583231", 583231.0, [583231]])
def test_wants_a_number(
    browser: Browser, github: GitHubServer, octocat: User, number: object
) -> None:
    github.user = {"id": number, "login": "octocat"}

    assert refused(browser.sign_in(github, "github"))


@pytest.mark.parametrize(
    ("emails", "signs_up"),
    [
        ([MINE], True),
        ([MINE | {"primary": False}, MINE | {"email": "b@example.org"}], True),
        ([MINE | {"verified": False}], False),
        ([MINE | {"primary": False}], False),
        ([MINE | {"email": "alice@example.org"}], False),
        ({}, False),
        (["octo@example.org"], False),
    ],
    ids=str,
)
def test_signs_up_with_the_primary_verified_address(
    browser: Browser, github: GitHubServer, settings: Any, emails: Any, signs_up: bool
) -> None:
    factories.alice()
    configure(settings, github.entry(sign_up=True))
    github.emails = emails

    answer = browser.sign_in(github, "github")

    assert (answer.status_code == 200) is signs_up, answer.content
    assert FederatedIdentity.objects.exists() is signs_up
    assert User.objects.filter(username="octocat").exists() is signs_up


def test_refuses_an_error_in_a_good_answer(
    browser: Browser, github: GitHubServer, octocat: User
) -> None:
    github.routes["/login/oauth/access_token"] = lambda _: as_json({"error": "incorrect_code"})

    assert refused(browser.sign_in(github, "github"))


@pytest.mark.parametrize("token", ["", "two words", "a\r\nHost: b", "ü", 7, None])
def test_refuses_what_is_no_token(
    browser: Browser, github: GitHubServer, octocat: User, token: object
) -> None:
    github.routes["/login/oauth/access_token"] = lambda _: as_json({"access_token": token})

    assert refused(browser.sign_in(github, "github"))
    assert "/api/v3/user" not in github.paths()


def test_refuses_another_ways_code(browser: Browser, github: GitHubServer, octocat: User) -> None:
    begun = [browser.begin("github").json()["authorization_url"] for _ in range(2)]
    first, second = (github.approve(url) for url in begun)

    assert refused(browser.finish(first | {"code": second["code"]}, "github")), "PKCE"


def test_refuses_another_senders_answer(
    browser: Browser, github: GitHubServer, octocat: User
) -> None:
    assert refused(browser.sign_in(github, "github", iss="https://rogue.example"))
    answer = browser.sign_in(github, "github", iss=f"{github.url}/login/oauth")
    assert answer.status_code == 200


def test_refuses_an_api_that_redirects(
    browser: Browser, github: GitHubServer, octocat: User
) -> None:
    github.routes["/api/v3/user"] = lambda _: Said(b"", 302, {"Location": "/api/v3/user/emails"})

    assert refused(browser.sign_in(github, "github"))


def test_knows_the_public_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def exchange(method: str, url: str, **_: Any) -> Any:
        asked.append(f"{method} {url}")
        raise FederationRefused("no network in tests")

    monkeypatch.setattr("accounts.federation.github.exchange", exchange)
    connection: Any = connect(parse_providers(PUBLIC, production=True)["github"])
    trip = Trip.new("https://auth.example/callback")

    url = connection.authorization_url(state="s", trip=trip)
    with pytest.raises(FederationRefused):
        connection.identify(code="c", trip=trip)
    with pytest.raises(FederationRefused):
        connection._ask("/user", "token")

    assert url.startswith("https://github.com/login/oauth/authorize?response_type=code&")
    assert asked == [
        "POST https://github.com/login/oauth/access_token",
        "GET https://api.github.com/user",
    ]
