"""services.issue_client_token, and what such a token opens."""

import pytest

from accounts.errors import InvalidScope
from accounts.models import ServiceClient
from accounts.services.authenticate_client import authenticate_client
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.issue_client_token import issue_client_token
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.verify_access_token import ANY_AUDIENCE, verify_access_token
from batchtokens_verifier.errors import TokenNotValid
from tests import factories
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway() -> NewServiceClient:
    ensure_signing_keys()
    return factories.service_client("gateway", scopes=["introspect", "redeem"])


def test_grants_all_that_the_client_may(gateway: NewServiceClient) -> None:
    token = issue_client_token(client=gateway.client)

    grant = verify_access_token(token.access)
    assert grant.subject == gateway.client
    assert grant.scope == {"introspect", "redeem"}
    assert (grant.sub, grant.client_id, grant.session_id) == ("gateway", "gateway", None)
    assert token.expires_in == 900


def test_names_no_session(gateway: NewServiceClient) -> None:
    claims = claims_of(issue_client_token(client=gateway.client).access)

    assert not claims.keys() & {"sid", "auth_time", "acr", "amr"}


def test_grants_what_was_asked(gateway: NewServiceClient) -> None:
    token = issue_client_token(client=gateway.client, asked=frozenset({"redeem"}))

    assert token.scope == "redeem"


@pytest.mark.parametrize("asked", ["token_exchange", "profile"])
def test_grants_no_more_than_the_client_has(gateway: NewServiceClient, asked: str) -> None:
    with pytest.raises(InvalidScope):
        issue_client_token(client=gateway.client, asked=frozenset({asked}))


def test_grants_no_more_than_the_key_opens(gateway: NewServiceClient) -> None:
    new = create_api_key(client=gateway.client, name="reader", scopes=["introspect"])
    client = authenticate_client(client_id="gateway", client_secret=new.text)

    assert issue_client_token(client=client).scope == "introspect"
    with pytest.raises(InvalidScope):
        issue_client_token(client=client, asked=frozenset({"redeem"}))


def test_grants_nothing_to_a_client_without_scopes(gateway: NewServiceClient) -> None:
    with pytest.raises(InvalidScope):
        issue_client_token(client=factories.service_client("poor").client)


def test_loses_the_scopes_that_the_client_loses(gateway: NewServiceClient) -> None:
    token = issue_client_token(client=gateway.client)
    ServiceClient.objects.update(scopes=["redeem"])

    assert verify_access_token(token.access).scope == {"redeem"}


def test_opens_nothing_for_a_disabled_client(gateway: NewServiceClient) -> None:
    token = issue_client_token(client=gateway.client)
    ServiceClient.objects.update(is_active=False)

    with pytest.raises(TokenNotValid):
        verify_access_token(token.access)


@pytest.mark.parametrize(
    ("audience", "opens"),
    [
        (None, False),
        ("https://other.example/", False),
        ("https://trigger.example/", True),
        (["https://other.example/", "https://trigger.example/"], True),
        (ANY_AUDIENCE, True),
    ],
)
def test_is_for_one_audience(audience: str | list[str] | None, opens: bool) -> None:
    token = factories.access_token_for(factories.alice(), audience="https://trigger.example/")

    try:
        verify_access_token(token, audience=audience)
        opened = True
    except TokenNotValid:
        opened = False

    assert opened is opens
