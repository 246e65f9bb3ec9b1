"""The OAuth addresses, from the root."""

from django.urls import path

from authproject.oauth.introspection import introspect
from authproject.oauth.ledger import checkpoint, consistency, proof
from authproject.oauth.metadata import authorization_server, jwks
from authproject.oauth.revocation import revoke
from authproject.oauth.status import status_list
from authproject.oauth.token import token

urlpatterns = [
    path("oauth/token", token, name="oauth-token"),
    path("oauth/introspect", introspect, name="oauth-introspect"),
    path("oauth/revoke", revoke, name="oauth-revoke"),
    path("oauth/ledger/checkpoint", checkpoint, name="oauth-ledger-checkpoint"),
    path("oauth/ledger/consistency", consistency, name="oauth-ledger-consistency"),
    path("oauth/ledger/proof/<redemption_id>", proof, name="oauth-ledger-proof"),
    path("oauth/status/<public_id>", status_list, name="oauth-status"),
    path(
        ".well-known/oauth-authorization-server",
        authorization_server,
        name="oauth-authorization-server",
    ),
    path(".well-known/jwks.json", jwks, name="jwks"),
]
