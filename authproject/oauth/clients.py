"""Which client sends a form: one method of authentication, never two (RFC 6749 section 2.3)."""

import re

from django.http import HttpRequest

from accounts.api.authentication import basic_credentials, context_of, presented_credential
from accounts.errors import InvalidClient, InvalidRequest, SeveralCredentials
from accounts.models import FIRST_PARTY, ServiceClient
from accounts.services.authenticate_client import authenticate_client
from authproject.oauth.parameters import Parameters

METHODS = ("client_secret_basic", "client_secret_post")

_FORM_CREDENTIALS = ("client_secret", "client_assertion")
_VSCHARS = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.1 and A.2


def sending_client(request: HttpRequest, form: Parameters) -> ServiceClient:
    """Return the authenticated client.

    Raises SeveralCredentials, InvalidRequest or InvalidClient.
    """
    client_id, secret = _credentials(request, form)
    if not (_VSCHARS.fullmatch(client_id) and _VSCHARS.fullmatch(secret)):
        raise InvalidClient
    return authenticate_client(
        client_id=client_id, client_secret=secret, context=context_of(request)
    )


def sending_client_id(request: HttpRequest, form: Parameters) -> str:
    """Return the authenticated client's name, or that of the public client, which has no secret."""
    if form.get("client_id") == FIRST_PARTY and not _presents_credential(request, form):
        return FIRST_PARTY
    return sending_client(request, form).client_id


def _presents_credential(request: HttpRequest, form: Parameters) -> bool:
    in_form = any(name in form for name in _FORM_CREDENTIALS)
    return in_form or presented_credential(request) is not None


def _credentials(request: HttpRequest, form: Parameters) -> tuple[str, str]:
    """Return client id and secret; of two methods, one could be checked and the other believed."""
    in_header = presented_credential(request) is not None
    in_form = sum(name in form for name in _FORM_CREDENTIALS)
    if in_header + in_form > 1:
        raise SeveralCredentials
    if not in_header:
        return form.get("client_id", ""), form.get("client_secret", "")
    credentials = basic_credentials(request)
    if credentials is None:
        raise InvalidClient("Authenticate by HTTP Basic or client_secret.")
    if form.get("client_id", credentials[0]) != credentials[0]:
        raise InvalidRequest("client_id is not the client that authenticates.")
    return credentials
