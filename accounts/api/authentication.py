"""How a request says who it is: a bearer token, HTTP Basic or an API key; exactly one of them."""

import base64
from typing import NamedTuple
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.api.headers import BASIC_CHALLENGE, BEARER_CHALLENGE, REALM
from accounts.errors import ApiKeyOnlyReads, SeveralCredentials
from accounts.models import RequestContext, ServiceClient, User
from accounts.services.authenticate_api_key import authenticate_api_key
from accounts.services.authenticate_client import authenticate_client
from accounts.services.refuse_client import refuse_client
from accounts.services.verify_access_token import verify_access_token
from accounts.tokens.access import Grant

API_KEY_HEADER = "X-API-Key"


context_of = RequestContext.of


class Credential(NamedTuple):
    """What a request presented: the scheme in lower case, and the rest."""

    scheme: str
    value: str


def presented_credential(request: Request | HttpRequest) -> Credential | None:
    """Return the request's one credential, None if it has none.

    Raises SeveralCredentials: of two, one could be vouched for and the other used.
    """
    authorization = request.headers.get("Authorization", "").strip()
    api_key = request.headers.get(API_KEY_HEADER, "")
    if authorization and api_key:
        raise SeveralCredentials
    if api_key:
        return Credential("api-key", api_key)
    scheme, _, value = authorization.partition(" ")
    return Credential(scheme.lower(), value) if authorization else None


def bearer_token(request: Request | HttpRequest) -> str | None:
    """Return the bearer token as it was sent (RFC 6750 section 2.1)."""
    credential = presented_credential(request)
    return credential.value if credential and credential.scheme == "bearer" else None


def basic_credentials(request: Request | HttpRequest) -> tuple[str, str] | None:
    """Return client id and secret of HTTP Basic (RFC 6749 section 2.3.1, RFC 7617).

    Raises InvalidClient for what cannot be read.
    """
    credential = presented_credential(request)
    if credential is None or credential.scheme != "basic":
        return None
    try:
        text = base64.b64decode(credential.value, validate=True).decode()
        client_id, secret = text.split(":", 1)
    except ValueError:
        refuse_client("malformed_credentials", context=context_of(request))
    return unquote(client_id), unquote(secret)


def grant_of(request: Request) -> Grant | None:
    """Return what the request's credential grants, None if it has no credential of ours."""
    auth: object = request.auth
    return auth if isinstance(auth, Grant) else None


class BearerAuthentication(BaseAuthentication):
    """An access token of a person or a service client, for this API."""

    def authenticate(self, request: Request) -> tuple[User | ServiceClient, Grant] | None:
        """Return the token's holder and what it grants.

        Raises TokenNotValid.
        """
        token = bearer_token(request)
        if token is None:
            return None
        grant = verify_access_token(token)
        return grant.subject, grant

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, so that refusals are 401 (RFC 6750 section 3)."""
        return BEARER_CHALLENGE


class ClientBasicAuthentication(BaseAuthentication):
    """A service client's id and secret."""

    def authenticate(self, request: Request) -> tuple[ServiceClient, Grant] | None:
        """Return the client and what its secret opens.

        Raises InvalidClient.
        """
        credentials = basic_credentials(request)
        if credentials is None:
            return None
        client_id, secret = credentials
        client = authenticate_client(
            client_id=client_id, client_secret=secret, context=context_of(request)
        )
        return client, _grant_to(client)

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme."""
        return BASIC_CHALLENGE


class ApiKeyAuthentication(BaseAuthentication):
    """An API key alone: a service client's, or a person's, which only reads."""

    def authenticate(self, request: Request) -> tuple[User | ServiceClient, Grant] | None:
        """Return the key's owner and what it opens.

        Raises InvalidClient; ApiKeyOnlyReads where a person's key would change something.
        """
        credential = presented_credential(request)
        if credential is None or credential.scheme != "api-key":
            return None
        grant = authenticate_api_key(key=credential.value, context=context_of(request))
        # Here and not in each view, so that no view can forget it.
        if isinstance(grant.subject, User) and request.method not in SAFE_METHODS:
            raise ApiKeyOnlyReads
        return grant.subject, grant

    def authenticate_header(self, request: Request) -> str:
        """Name the header."""
        return f'ApiKey {REALM}, header="{API_KEY_HEADER}"'


def _grant_to(client: ServiceClient) -> Grant:
    return Grant(
        subject=client,
        scope=client.granted_scopes,
        client_id=client.client_id,
        audience=settings.ISSUER_URL,
    )


# Where people are let in: by a token, or by a key, which only reads.
PERSONAL: list[type[BaseAuthentication]] = [BearerAuthentication, ApiKeyAuthentication]
