"""Sign-in through an OpenID provider that does as it should."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import FederatedIdentity, FederationRequest, SecurityEvent, User
from tests import factories, meta_scopes
from tests.federation import FEDERATION, JSON, Browser, configure, nobody_came, refused
from tests.identity_providers import ABSENT, OidcProvider, ec_key
from tests.tokens import claims_of, forge

pytestmark = pytest.mark.django_db
VERIFIED = {"email": "new@example.org", "email_verified": True, "preferred_username": "New-Comer"}


def test_lists_the_providers(client: Client, corp: OidcProvider) -> None:
    answer = client.get(FEDERATION)

    assert answer.json() == [{"name": "corp", "label": "Corp", "kind": "oidc"}]


def test_signs_in_who_is_linked(corp: OidcProvider, alice: User, browser: Browser) -> None:
    answer = browser.sign_in(corp)

    assert answer.status_code == 200, answer.content
    claims = claims_of(answer.json()["access"])
    assert (claims["sub"], claims["amr"], claims["acr"]) == (alice.public_id, ["fed"], "aal1")
    assert answer.json().keys() == {"access", "refresh", "token_type", "expires_in", "scope"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert FederatedIdentity.objects.get().last_used_at


def test_shows_no_tokens_on_a_page(corp: OidcProvider, alice: User, browser: Browser) -> None:
    """A browser that was led back shows what it is answered; the app asks by itself."""
    query = corp.approve(browser.begin().json()["authorization_url"])
    callback = f"{FEDERATION}/corp/callback"

    page = browser.client.get(callback, query, headers={"Sec-Fetch-Mode": "navigate"})

    assert refused(page, "not_for_pages")
    fetched = browser.client.get(callback, query, headers={"Sec-Fetch-Mode": "cors"})
    assert fetched.status_code == 200, "nothing was used up"


def test_takes_an_elliptic_key(corp: OidcProvider, alice: User, browser: Browser) -> None:
    corp.header = {"alg": "ES256", "kid": "ec"}
    corp.sign = lambda header, claims: forge(header, claims, ec_key())

    assert browser.sign_in(corp).status_code == 200


@pytest.mark.parametrize(
    ("document", "claims"),
    [
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, {}),
        ({"token_endpoint_auth_methods_supported": ABSENT}, {}),
        ({"userinfo_endpoint": ABSENT}, {}),
        ({}, {"aud": ["authproject at corp", "other"], "azp": "authproject at corp"}),
    ],
    ids=["secret in the body", "default method", "no userinfo", "two readers"],
)
def test_speaks_each_allowed_dialect(
    corp: OidcProvider, alice: User, browser: Browser, document: Any, claims: Any
) -> None:
    corp.document, corp.claims = document, claims

    assert browser.sign_in(corp).status_code == 200


def test_needs_no_iss_of_who_never_names_itself(
    corp: OidcProvider, alice: User, browser: Browser
) -> None:
    corp.document = {"authorization_response_iss_parameter_supported": ABSENT}

    assert browser.sign_in(corp, iss=ABSENT).status_code == 200


def test_grants_what_was_asked_for(corp: OidcProvider, alice: User, browser: Browser) -> None:
    begun = browser.begin(scope="profile")

    answer = browser.finish(corp.approve(begun.json()["authorization_url"]))

    assert answer.json()["scope"] == "profile"


def test_is_for_the_audience_that_was_named(
    corp: OidcProvider, alice: User, browser: Browser
) -> None:
    audience = "https://savings.example/trigger"
    factories.service_client("trigger", audience=audience)
    begun = browser.begin(resource=audience)

    answer = browser.finish(corp.approve(begun.json()["authorization_url"]))

    assert claims_of(answer.json()["access"])["aud"] == audience


def test_grants_no_meta_scope_of_others(corp: OidcProvider, alice: User, browser: Browser) -> None:
    with meta_scopes.of("trigger_savings"):
        begun = browser.begin(scope="trigger_savings")
        answer = browser.finish(corp.approve(begun.json()["authorization_url"]))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_scope")
    assert nobody_came()


@pytest.mark.parametrize(
    ("body", "code"),
    [({"scope": "everything"}, "invalid_scope"), ({"resource": "https://x/"}, "invalid_target")],
)
def test_refuses_what_nobody_can_have_before_anybody_travels(
    corp: OidcProvider, browser: Browser, body: dict[str, str], code: str
) -> None:
    answer = browser.begin(**body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not FederationRequest.objects.exists()


def test_knows_no_other_provider(corp: OidcProvider, browser: Browser) -> None:
    assert browser.begin("other").status_code == 404
    assert browser.finish({"state": "s", "code": "c"}, "other").status_code == 404


def test_says_when_the_provider_is_away(settings: Any, browser: Browser) -> None:
    away = OidcProvider()
    configure(settings, away.entry("corp"))
    away._server.server_close()

    answer = browser.begin()

    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert answer.headers["Retry-After"]


def test_binds_the_browser(corp: OidcProvider, browser: Browser) -> None:
    cookie = browser.begin().cookies["federation"]

    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("Lax", "/", 600)
    again = browser.begin().cookies["federation"]
    assert again.value == cookie.value


def test_binds_the_browser_to_one_host_over_https(
    corp: OidcProvider, browser: Browser, settings: Any
) -> None:
    settings.OVER_HTTPS = True

    cookie = browser.begin().cookies["__Host-federation"]

    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")


def test_keeps_no_secret_of_the_way(corp: OidcProvider, alice: User, browser: Browser) -> None:
    query = corp.approve(browser.begin().json()["authorization_url"])

    browser.finish(query)

    row = FederationRequest.objects.get()
    assert query["state"] not in str(vars(row))
    assert row.expires_at - row.created_at == timedelta(minutes=10)
    assert b"nonce" not in bytes(row.secrets_sealed)
    assert row.used_at


def test_asks_for_the_code_of_who_has_an_authenticator(
    corp: OidcProvider, alice: User, browser: Browser
) -> None:
    _, code = factories.totp_device(alice)

    answer = browser.sign_in(corp)

    assert (answer.status_code, answer.json()["code"]) == (401, "mfa_required")
    second = {"mfa_token": answer.json()["mfa_token"], "otp": code()}
    pair = browser.client.post("/api/v1/auth/token/totp", second, JSON)
    claims = claims_of(pair.json()["access"])
    assert (claims["amr"], claims["acr"]) == (["fed", "otp", "mfa"], "aal2")


def test_makes_no_difference_of_who_is_disabled(
    corp: OidcProvider, alice: User, browser: Browser
) -> None:
    User.objects.update(is_active=False)

    disabled = browser.sign_in(corp)
    FederatedIdentity.objects.all().delete()
    unknown = browser.sign_in(corp)

    assert refused(disabled, "identity_not_linked")
    assert refused(unknown, "identity_not_linked")
    assert disabled.status_code == unknown.status_code == 403


def test_signs_up_whom_the_operator_lets(
    corp: OidcProvider, browser: Browser, settings: Any
) -> None:
    configure(settings, corp.entry("corp", sign_up=True))
    corp.claims = VERIFIED

    answer = browser.sign_in(corp)

    assert answer.status_code == 200
    user = User.objects.get()
    assert (user.username, user.email) == ("NewComer", "new@example.org")
    assert user.email_verified_at
    assert not user.has_usable_password()
    assert browser.sign_in(corp).status_code == 200
    assert User.objects.count() == 1


def test_signs_nobody_up_where_the_operator_does_not_let_it(
    corp: OidcProvider, browser: Browser
) -> None:
    corp.claims = VERIFIED

    assert refused(browser.sign_in(corp), "identity_not_linked")
    assert not User.objects.exists()


def test_signs_up_under_another_name_where_one_is_taken(
    corp: OidcProvider, browser: Browser, settings: Any
) -> None:
    factories.user("newcomer")
    configure(settings, corp.entry("corp", sign_up=True))
    corp.claims = VERIFIED

    assert browser.sign_in(corp).status_code == 200
    assert User.objects.exclude(username="newcomer").get().username.startswith("NewComer")


@pytest.mark.parametrize(
    "claims",
    [
        VERIFIED | {"email_verified": False},
        VERIFIED | {"email_verified": "true"},
        VERIFIED | {"email_verified": 1},
        VERIFIED | {"email": "no address"},
        VERIFIED | {"email": f"new@{63 * chr(0xFDFA)}.com"},
        VERIFIED | {"email": "ALICE@example.org"},
        {},
    ],
    ids=["unverified", "text", "number", "malformed", "unfolds", "Alice's", "none"],
)
def test_signs_nobody_up_without_an_address_of_their_own(
    corp: OidcProvider, browser: Browser, settings: Any, claims: Any
) -> None:
    factories.alice()
    configure(settings, corp.entry("corp", sign_up=True))
    corp.claims = claims

    assert refused(browser.sign_in(corp), "identity_not_linked")
    assert User.objects.count() == 1
    assert not FederatedIdentity.objects.exists()


def test_refuses_who_comes_back_too_late(corp: OidcProvider, alice: User, browser: Browser) -> None:
    query = corp.approve(browser.begin().json()["authorization_url"])
    FederationRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert refused(browser.finish(query))


@pytest.mark.usefixtures("one_minute")
def test_counts_refusals(corp: OidcProvider, browser: Browser) -> None:
    for _ in range(3):
        assert refused(browser.finish({"state": "unknown", "code": "x"}))

    event = SecurityEvent.objects.get(code="federation_refused")
    assert event.count == 3
    assert event.data == {"reason": "an unknown, used or outdated state"}
