"""Whatever is sent to the OAuth endpoints, the answer is a refusal and never a 500."""

from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accounts.services.create_service_client import NewServiceClient
from tests import factories, mandates
from tests.oauth import INTROSPECT_URL, REVOKE_URL, TOKEN_URL, encode, exchange_form, refusal, send

pytestmark = pytest.mark.django_db

BODIES = {
    "bytes": bytes(range(256)),
    "NUL": b"grant_type=client_credentials&scope=a\x00b",
    "escaped NUL": b"grant_type=client_credentials&scope=%00",
    "half an escape": b"grant_type=%&scope=%zz&%=%1",
    "not UTF-8": b"grant_type=%ff%fe&scope=\xff",
    "surrogate": b"grant_type=%ED%A0%80",
    "no values": b"&&&&",
    "only names": b"grant_type&token&scope",
    "JSON": b'{"grant_type":"client_credentials"}',
    "many": b"&".join(b"x%d=1" % number for number in range(2000)),
    "repeated": b"&".join([b"grant_type=client_credentials"] * 500),
    "huge": b"grant_type=" + b"a" * 200_000,
    "huge name": b"a" * 100_000 + b"=1&" + b"a" * 30_000 + b"=1",
}
WORDS = st.text(max_size=20) | st.sampled_from(
    ["client_credentials", "refresh_token", "first-party", "[{}]", "a.b.c", "\0", "\ud7ff"]
)
NAMES = st.text(max_size=8) | st.sampled_from(
    ["grant_type", "token", "scope", "client_id", "client_secret", "refresh_token", "resource"]
)


@pytest.fixture
def gateway() -> NewServiceClient:
    return factories.service_client("gateway", scopes=["introspect"])


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("url", [TOKEN_URL, INTROSPECT_URL, REVOKE_URL])
def test_refuses_garbage(gateway: NewServiceClient, url: str, body: bytes) -> None:
    refusal(send(body, by=gateway, url=url))


@given(form=st.dictionaries(NAMES, WORDS | st.lists(WORDS, max_size=3), max_size=6))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_any_form(gateway: NewServiceClient, form: dict[str, Any]) -> None:
    for url in (TOKEN_URL, INTROSPECT_URL, REVOKE_URL):
        assert send(form, by=gateway, url=url).status_code in {200, 400, 401, 415, 503}


@pytest.mark.parametrize("name", ["subject_token", "audience", "scope", "authorization_details"])
@given(value=st.text(min_size=1, max_size=40) | st.binary(min_size=1).map(str))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_any_parameter_of_an_exchange(world: Any, name: str, value: str) -> None:
    form = {**exchange_form(mandates.exchange_request(world))}
    assume(value != form[name])  # which is a word of the code that may be drawn as any other
    form[name] = value

    refusal(send(form, by=world.trigger))


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.mark.parametrize("length", ["", "-1", "1", "999999999"])
def test_believes_no_length(gateway: NewServiceClient, length: str) -> None:
    body = encode({"token": "a.b.c"}).encode()
    headers = factories.basic(gateway.client, gateway.secret)

    answer = Client().generic(
        "POST",
        INTROSPECT_URL,
        body,
        content_type="application/x-www-form-urlencoded",
        headers=headers,
        CONTENT_LENGTH=length,
    )

    assert answer.status_code in {200, 400}


def test_gives_no_value_back(gateway: NewServiceClient) -> None:
    answer = send({"grant_type": "<secret-value>", "scope": "<secret-value>"}, by=gateway)

    assert b"secret-value" not in answer.content
