"""A hostile provider, a second one, and a stranger's browser: none of them ends in a sign-in."""

from typing import Any

import pytest

from accounts.models import FederatedIdentity, User
from tests.federation import Browser, configure, nobody_came, reason_of, refused
from tests.identity_providers import ABSENT, OidcProvider
from tests.loopback import Said

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("alice")]


def test_it_would_work(browser: Browser, corp: OidcProvider) -> None:
    assert browser.sign_in(corp).status_code == 200


class TestState:
    def test_opens_once(self, browser: Browser, corp: OidcProvider) -> None:
        query = corp.approve(browser.begin().json()["authorization_url"])
        assert browser.finish(query | {"error": "access_denied"}).status_code == 401

        assert refused(browser.finish(query))

    def test_is_not_made_up(self, browser: Browser, corp: OidcProvider) -> None:
        query = corp.approve(browser.begin().json()["authorization_url"])

        assert refused(browser.finish(query | {"state": "x" * 43}))
        assert refused(browser.finish({"code": query["code"]}))

    def test_is_no_other_browsers(self, browser: Browser, corp: OidcProvider) -> None:
        """Login CSRF: Bob's way, finished in Alice's browser, and the other way round."""
        query = corp.approve(browser.begin().json()["authorization_url"])
        stranger = Browser()
        stranger.begin()

        assert refused(stranger.finish(query))
        assert refused(browser.finish(query)), "the state was used up"

    def test_is_no_browsers_without_a_cookie(self, browser: Browser, corp: OidcProvider) -> None:
        query = corp.approve(browser.begin().json()["authorization_url"])
        browser.client.cookies.clear()

        assert refused(browser.finish(query))

    @pytest.mark.parametrize("extra", ["another", "x" * 5000])
    def test_comes_with_one_code_of_its_length(
        self, browser: Browser, corp: OidcProvider, extra: str
    ) -> None:
        query: Any = corp.approve(browser.begin().json()["authorization_url"])

        assert refused(browser.finish(query | {"code": [extra, query["code"]]}))
        assert reason_of() == "a malformed query"
        assert refused(browser.finish(query)), "the state was used up"


class TestMixUp:
    def test_an_honest_code_is_not_brought_to_the_rogue(
        self, browser: Browser, corp: OidcProvider, rogue: OidcProvider
    ) -> None:
        """The rogue sends the browser on to the honest provider, to get its code."""
        at_rogue = browser.begin("rogue").json()["authorization_url"]
        query = corp.approve(at_rogue)

        assert refused(browser.finish(query, "rogue"))
        assert "/token" not in rogue.paths()

    def test_an_honest_state_is_not_finished_by_the_rogue(
        self, browser: Browser, corp: OidcProvider, rogue: OidcProvider
    ) -> None:
        query = rogue.approve(browser.begin().json()["authorization_url"], iss=rogue.issuer)

        assert refused(browser.finish(query, "rogue"))
        assert "/token" not in rogue.paths() + corp.paths()

    @pytest.mark.parametrize("iss", [ABSENT, "", "https://rogue.example"])
    def test_the_answer_names_its_sender(
        self, browser: Browser, corp: OidcProvider, iss: object
    ) -> None:
        assert refused(browser.sign_in(corp, iss=iss))
        assert "/token" not in corp.paths()

    def test_the_same_subject_elsewhere_is_somebody_else(
        self, browser: Browser, rogue: OidcProvider
    ) -> None:
        answer = browser.sign_in(rogue, "rogue")

        assert refused(answer, "identity_not_linked")

    def test_a_token_of_the_honest_provider_is_of_no_use_to_the_rogue(
        self, browser: Browser, corp: OidcProvider, rogue: OidcProvider
    ) -> None:
        rogue.claims = {"iss": corp.issuer}

        assert refused(browser.sign_in(rogue, "rogue"))


def test_finds_nobody_by_email(browser: Browser, rogue: OidcProvider, settings: Any) -> None:
    configure(settings, rogue.entry("rogue", sign_up=True))
    rogue.claims = {"email": "alice@example.org", "email_verified": True}

    assert refused(browser.sign_in(rogue, "rogue"), "identity_not_linked")
    assert (User.objects.count(), FederatedIdentity.objects.count()) == (1, 1)


def test_a_nonce_is_of_one_way_alone(browser: Browser, corp: OidcProvider) -> None:
    begun = [browser.begin().json()["authorization_url"] for _ in range(2)]
    first, second = (corp.approve(url) for url in begun)

    swapped = browser.finish(first | {"code": second["code"]})

    assert refused(swapped)


def test_a_code_of_another_way_fails_even_where_the_provider_ignores_pkce(
    browser: Browser, corp: OidcProvider
) -> None:
    corp.checks_verifier = False
    begun = [browser.begin().json()["authorization_url"] for _ in range(2)]
    first, second = (corp.approve(url) for url in begun)

    assert refused(browser.finish(first | {"code": second["code"]})), "its nonce is another"


def test_an_error_uses_the_state_up(browser: Browser, corp: OidcProvider) -> None:
    url = browser.begin().json()["authorization_url"]

    denied = browser.finish(corp.approve(url, code=ABSENT, error="access_denied"))

    assert refused(denied)
    assert refused(browser.finish(corp.approve(url)))
    assert "/token" not in corp.paths()


def test_userinfo_is_of_the_same_person(browser: Browser, corp: OidcProvider) -> None:
    corp.userinfo = {"sub": "somebody else"}

    assert refused(browser.sign_in(corp))


def test_the_cause_is_in_the_log_alone(
    browser: Browser, corp: OidcProvider, caplog: pytest.LogCaptureFixture
) -> None:
    corp.claims = {"nonce": "another"}

    with caplog.at_level("INFO"):
        assert refused(browser.sign_in(corp))

    assert reason_of() == "another nonce"
    assert "another nonce" in {getattr(record, "reason", "") for record in caplog.records}
    assert nobody_came()


GOOD = b'{"keys": [], "id_token": "", "sub": "user-1"}'


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Said(GOOD, 302, {"Location": "https://rogue.example/token"}), "status 302"),
        (Said(GOOD, 307, {"Location": "/.well-known/openid-configuration"}), "status 307"),
        (Said(GOOD, 500), "status 500"),
        (Said(GOOD, 201), "status 201"),
        (Said(b"not JSON"), "not JSON"),
        (Said(b"\xff"), "not JSON"),
        (Said(b'{"sub": "user-1", "sub": "user-1"}'), "not JSON"),
        (Said(b"[" * 100_000), "not JSON"),
        (Said(b'["a list"]'), "no JSON object"),
        (Said(b" " * 200_000 + GOOD), "answer too long"),
        (Said(GOOD, 200, {"Content-Encoding": "gzip"}), "compressed answer"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
def test_refuses_answers(
    browser: Browser, corp: OidcProvider, path: str, said: Said, reason: str
) -> None:
    corp.routes[path] = lambda _: said

    assert refused(browser.sign_in(corp))
    assert reason_of() == reason


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize("body", [b"{}", b'{"id_token": 7}', b'{"keys": {}, "sub": ["user-1"]}'])
def test_refuses_answers_without_what_is_wanted(
    browser: Browser, corp: OidcProvider, path: str, body: bytes
) -> None:
    corp.routes[path] = lambda _: Said(body)

    assert refused(browser.sign_in(corp))
