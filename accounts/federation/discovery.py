"""What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414, RFC 9207)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.errors import FederationRefused
from accounts.federation.providers import Provider, is_endpoint
from accounts.federation.transport import exchange

WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The members that are used.

    userinfo_endpoint: "" if there is none.  public_only: whether its endpoints must be on the
    public network, as the provider itself is: nobody sends us into the operator's own.
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    names_itself: bool  # authorization_response_iss_parameter_supported
    secret_in_header: bool
    public_only: bool


def discover(provider: Provider) -> Metadata:
    """Fetch and check the document of a provider.

    Raises FederationRefused.
    """
    answer = exchange("GET", provider.issuer.rstrip("/") + WELL_KNOWN)
    document = answer.members()
    # Discovery section 4.3: the same, character by character.
    if document.get("issuer") != provider.issuer:
        raise FederationRefused("the document is another issuer's")
    return Metadata(
        authorization_endpoint=_endpoint(document, "authorization_endpoint", provider),
        token_endpoint=_endpoint(document, "token_endpoint", provider),
        jwks_uri=_endpoint(document, "jwks_uri", provider),
        userinfo_endpoint=_endpoint(document, "userinfo_endpoint", provider, default=""),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        secret_in_header=_secret_in_header(document),
        public_only=answer.from_public,
    )


def _endpoint(
    document: Mapping[str, Any], member: str, provider: Provider, default: str | None = None
) -> str:
    """Return an address of the provider's; plain http only where the issuer itself is so."""
    url = document.get(member, default)
    if url == default == "":
        return ""
    if not is_endpoint(url, loopback=provider.issuer.startswith("http:")):
        raise FederationRefused(f"{member} is no address to speak to")
    return str(url)


def _secret_in_header(document: Mapping[str, Any]) -> bool:
    """Choose how to show the secret; absent means in the header (Discovery section 3)."""
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if not isinstance(methods, list):
        raise FederationRefused("no list of authentication methods")
    if "client_secret_basic" in methods:
        return True
    if "client_secret_post" in methods:
        return False
    raise FederationRefused("no authentication method that we have")
