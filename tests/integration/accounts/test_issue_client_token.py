"""services.issue_client_token, and what such a token opens."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.errors import InvalidScope
from accounts.models import ServiceClient
from accounts.services.authenticate_client import authenticate_client
from accounts.services.create_api_key import NewApiKey, create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.issue_client_token import issue_client_token
from accounts.services.revoke_api_key import revoke_api_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.verify_access_token import ANY_AUDIENCE, verify_access_token
from batchtokens_verifier.errors import TokenNotValid
from tests import factories
from tests.budgets import budget
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
    new = create_api_key(owner=gateway.client, name="reader", scopes=["introspect"])
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


def bought_with(new: NewApiKey) -> str:
    client = authenticate_client(client_id="gateway", client_secret=new.text)
    return issue_client_token(client=client).access


def test_opens_nothing_once_its_key_is_revoked(gateway: NewServiceClient) -> None:
    """Who stole a secret keeps nothing that was bought with it, and others keep theirs."""
    stolen, other = (create_api_key(owner=gateway.client, name="a key") for _ in range(2))
    tokens = [bought_with(new) for new in (stolen, other)]

    revoke_api_key(api_key=stolen.api_key)

    with pytest.raises(TokenNotValid):
        verify_access_token(tokens[0])
    assert verify_access_token(tokens[1]).subject == gateway.client


def test_opens_nothing_once_its_key_has_expired(gateway: NewServiceClient) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    token = bought_with(create_api_key(owner=gateway.client, name="a key", expires_at=soon))

    verify_access_token(token, now=soon - timedelta(seconds=1))
    with pytest.raises(TokenNotValid):
        verify_access_token(token, now=soon)


def test_is_verified_in_one_statement(gateway: NewServiceClient) -> None:
    token = bought_with(create_api_key(owner=gateway.client, name="a key"))
    verify_access_token(token)

    with budget(1):
        verify_access_token(token)


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
