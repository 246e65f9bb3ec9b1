"""What both kinds of providers are asked with: requests of OAuth 2.0, by Authlib."""

import base64
from collections.abc import Mapping
from urllib.parse import quote_plus

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from accounts.errors import FederationRefused
from accounts.federation.providers import Provider
from accounts.federation.trips import Trip


def authorization_url(
    endpoint: str, provider: Provider, *, state: str, trip: Trip, **more: str
) -> str:
    """Write the address of an authorization request (RFC 6749 section 4.1.1, RFC 7636)."""
    client = OAuth2Client(
        None,
        client_id=provider.client_id,
        scope=provider.scope,
        redirect_uri=trip.redirect_uri,
        code_challenge_method="S256",
    )
    url, _ = client.create_authorization_url(
        endpoint, state=state, code_verifier=trip.verifier, **more
    )
    return str(url)


def token_form(code: str, trip: Trip, credentials: Mapping[str, str]) -> str:
    """Write the body of a token request (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    body = prepare_token_request(
        "authorization_code",
        redirect_uri=trip.redirect_uri,
        code=code,
        code_verifier=trip.verifier,
        **credentials,
    )
    return str(body)


def in_form(provider: Provider) -> dict[str, str]:
    """Show the secret in the body (client_secret_post)."""
    return {"client_id": provider.client_id, "client_secret": provider.client_secret}


def basic_credentials(provider: Provider) -> str:
    """Show the secret in the header, each part urlencoded first (RFC 6749 section 2.3.1)."""
    pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def bearer(access_token: str) -> dict[str, str]:
    """Write a provider's own token into a header (RFC 6750 section 2.1).

    Raises FederationRefused for what is no token: it could end the header.
    """
    if not access_token.isascii() or not access_token.isprintable() or " " in access_token:
        raise FederationRefused("no access token")
    return {"Authorization": f"Bearer {access_token}"}
