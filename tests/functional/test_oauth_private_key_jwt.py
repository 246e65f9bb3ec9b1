"""`private_key_jwt`: clients that sign what they show, once, to one server (RFC 7523)."""

from typing import Any

import pytest
from django.conf import settings

from accounts.models import ClientAssertion, SecurityEvent, ServiceClient
from accounts.services.create_service_client import create_service_client
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.assertions import claims, client_with, form, new_key, public, sign
from tests.factories import basic
from tests.oauth import INTROSPECT_URL, REVOKE_URL, TOKEN_URL, refusal, send

pytestmark = pytest.mark.django_db

KEY = new_key()
ENDPOINTS = {
    TOKEN_URL: {"grant_type": "client_credentials"},
    INTROSPECT_URL: {"token": "unknown"},
    REVOKE_URL: {"token": "unknown"},
}


@pytest.fixture(params=ENDPOINTS)
def url(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def gateway() -> ServiceClient:
    ensure_signing_keys()
    return client_with(KEY)


def ask(url: str, assertion: str, *, headers: Any = None, **changes: str | None) -> Any:
    return send({**ENDPOINTS[url], **form(assertion, **changes)}, url=url, headers=headers)


def reason() -> str:
    return str(SecurityEvent.objects.get(code="client_refused").data["reason"])


def test_lets_a_client_in(url: str, gateway: ServiceClient) -> None:
    assert ask(url, sign(KEY)).status_code == 200


def test_lets_it_in_for_all_its_scopes(gateway: ServiceClient) -> None:
    assert ask(TOKEN_URL, sign(KEY)).json()["scope"] == "introspect redeem"


def test_takes_the_endpoint_as_audience(url: str, gateway: ServiceClient) -> None:
    audience = f"{settings.ISSUER_URL}{url}"

    assert ask(url, sign(KEY, claims(aud=audience))).status_code == 200


@pytest.mark.usefixtures("one_minute")
def test_refuses_another_endpoint_s(url: str, gateway: ServiceClient) -> None:
    for other in sorted(ENDPOINTS.keys() - {url}):
        audience = f"{settings.ISSUER_URL}{other}"
        assert refusal(ask(url, sign(KEY, claims(aud=audience)))) == "invalid_client"
        assert reason() == "assertion: aud"


@pytest.mark.spec("RFC 7521", "4.2")
def test_takes_the_client_s_name_beside_it(url: str, gateway: ServiceClient) -> None:
    assert ask(url, sign(KEY), client_id="gateway").status_code == 200
    assert refusal(ask(url, sign(KEY), client_id="other")) == "invalid_client"


@pytest.mark.spec("RFC 7523", "3")
@pytest.mark.usefixtures("one_minute")
def test_takes_each_assertion_once(gateway: ServiceClient) -> None:
    assertion = sign(KEY)

    answers = [ask(url, assertion) for url in (*ENDPOINTS, *ENDPOINTS)]

    assert [answer.status_code for answer in answers] == [200, *[401] * 5]
    assert reason() == "assertion: used"


def test_takes_each_name_of_an_assertion_once(gateway: ServiceClient) -> None:
    """However else it differs."""
    first, second = (sign(KEY, claims(jti="same", exp=claims()["exp"] + n)) for n in range(2))

    assert ask(TOKEN_URL, first).status_code == 200
    assert refusal(ask(TOKEN_URL, second)) == "invalid_client"


def test_lets_two_clients_use_one_name(gateway: ServiceClient) -> None:
    other_key = new_key()
    client_with(other_key, client_id="other")
    others = claims(iss="other", sub="other", jti="same")

    assert ask(TOKEN_URL, sign(KEY, claims(jti="same"))).status_code == 200
    assert ask(TOKEN_URL, sign(other_key, others)).status_code == 200


def test_lets_a_stranger_use_up_nothing(gateway: ServiceClient) -> None:
    forged = sign(new_key(), claims(jti="same"))

    assert refusal(ask(TOKEN_URL, forged)) == "invalid_client"
    assert not ClientAssertion.objects.exists()
    assert ask(TOKEN_URL, sign(KEY, claims(jti="same"))).status_code == 200


def test_refuses_another_client_s_key(gateway: ServiceClient) -> None:
    client_with(new_key(), client_id="other")

    assert refusal(ask(TOKEN_URL, sign(KEY, claims(iss="other", sub="other")))) == "invalid_client"


@pytest.mark.parametrize("name", ["unknown", "first-party", "usr_1"])
def test_refuses_who_is_no_client(gateway: ServiceClient, name: str) -> None:
    assert refusal(ask(TOKEN_URL, sign(KEY, claims(iss=name, sub=name)))) == "invalid_client"


def test_refuses_a_client_that_has_secrets_alone(gateway: ServiceClient) -> None:
    factories.service_client("plain", scopes=["introspect"])

    assert refusal(ask(TOKEN_URL, sign(KEY, claims(iss="plain", sub="plain")))) == "invalid_client"


def test_refuses_a_disabled_client(url: str, gateway: ServiceClient) -> None:
    ServiceClient.objects.update(is_active=False)

    assert refusal(ask(url, sign(KEY))) == "invalid_client"


def test_refuses_a_key_from_the_moment_it_is_gone(gateway: ServiceClient) -> None:
    ServiceClient.objects.update(jwks=public(new_key()))

    assert refusal(ask(TOKEN_URL, sign(KEY))) == "invalid_client"


@pytest.mark.parametrize("kind", [None, "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"])
def test_refuses_other_kinds_of_assertions(
    url: str, gateway: ServiceClient, kind: str | None
) -> None:
    assert refusal(ask(url, sign(KEY), client_assertion_type=kind)) == "invalid_request"


@pytest.mark.spec("RFC 6749", "2.3")
def test_refuses_a_second_method_beside_it(url: str, gateway: ServiceClient) -> None:
    both = create_service_client(client_id="both", scopes=["introspect"], jwks=public(KEY))
    assertion = sign(KEY, claims(iss="both", sub="both"))

    answers = [
        ask(url, assertion, headers=basic(both.client, both.secret)),
        ask(url, assertion, client_secret=both.secret),
        ask(url, assertion, headers={"X-API-Key": both.secret}),
        ask(url, assertion, headers={"Authorization": f"Bearer {assertion}"}),
    ]

    assert {refusal(answer) for answer in answers} == {"invalid_request"}
    assert not ClientAssertion.objects.exists()


def test_lets_a_client_have_keys_and_secrets(url: str) -> None:
    ensure_signing_keys()
    both = create_service_client(client_id="both", scopes=["introspect"], jwks=public(KEY))

    assert ask(url, sign(KEY, claims(iss="both", sub="both"))).status_code == 200
    assert send(ENDPOINTS[url], by=both, url=url).status_code == 200


def test_opens_no_other_door(gateway: ServiceClient) -> None:
    """An assertion is no token: neither as a bearer, nor as a secret, nor to be exchanged."""
    assertion = sign(KEY)
    token_form = {"grant_type": "client_credentials", "client_id": "gateway"}

    assert refusal(send({**token_form, "client_secret": assertion})) == "invalid_client"
    assert refusal(send(token_form, headers=factories.bearer(assertion))) == "invalid_client"
    answer = ask(INTROSPECT_URL, sign(KEY), token=assertion)
    assert answer.json() == {"active": False}


@pytest.mark.parametrize("text", ["a.b.c", "nonsense", "é.é.é", "a" * 50_000, "ak_live_1"])
@pytest.mark.usefixtures("one_minute")
def test_counts_each_refusal_once(url: str, gateway: ServiceClient, text: str) -> None:
    for _ in range(2):
        assert refusal(ask(url, text)) == "invalid_client"

    assert SecurityEvent.objects.get(code="client_refused").count == 2


def test_stores_no_assertion(gateway: ServiceClient) -> None:
    ask(TOKEN_URL, sign(KEY, claims(jti="a-name-to-be-found")))

    rows = str([*ClientAssertion.objects.values(), *SecurityEvent.objects.values()])
    assert "a-name-to-be-found" not in rows
    assert ClientAssertion.objects.count() == 1


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({}, "no_credentials"),
        ({"client_id": "gateway"}, "malformed_credentials"),
        ({"client_secret": "é"}, "malformed_credentials"),
    ],
)
@pytest.mark.usefixtures("one_minute")
def test_counts_what_is_no_pair(url: str, form: dict[str, str], reason: str) -> None:
    for _ in range(2):
        assert refusal(send({**ENDPOINTS[url], **form}, url=url)) == "invalid_client"

    event = SecurityEvent.objects.get(code="client_refused")
    assert (event.data["reason"], event.count) == (reason, 2)


@pytest.mark.usefixtures("one_minute")
def test_counts_other_schemes(url: str) -> None:
    for headers in (factories.bearer("x"), {"X-API-Key": "x"}):
        assert refusal(send(ENDPOINTS[url], url=url, headers=headers)) == "invalid_client"

    event = SecurityEvent.objects.get(code="client_refused")
    assert (event.data["reason"], event.count) == ("another_scheme", 2)
