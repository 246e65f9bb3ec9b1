"""Which client sends a form: one method of authentication, never two (RFC 6749 section 2.3)."""

import re

from django.conf import settings
from django.http import HttpRequest

from accounts.api.authentication import basic_credentials, context_of, presented_credential
from accounts.errors import InvalidRequest, SeveralCredentials
from accounts.models import FIRST_PARTY, ServiceClient
from accounts.services.authenticate_assertion import authenticate_assertion
from accounts.services.authenticate_client import authenticate_client
from accounts.services.refuse_client import refuse_client
from authproject.oauth.parameters import Parameters

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
# RFC 7523 section 2.2.
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_SECRET, _ASSERTION = "client_secret", "client_assertion"
_FORM_CREDENTIALS = (_SECRET, _ASSERTION)
_VSCHARS = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.1 and A.2


def sending_client(request: HttpRequest, form: Parameters) -> ServiceClient:
    """Return the authenticated client.

    Raises SeveralCredentials, InvalidRequest, InvalidClient or WaitForAttempt.
    """
    in_header = presented_credential(request) is not None
    in_form = [name for name in _FORM_CREDENTIALS if name in form]
    # Of two methods, one could be checked and the other believed.
    if in_header + len(in_form) > 1:
        raise SeveralCredentials
    if in_header:
        return _by_basic(request, form)
    if in_form == [_ASSERTION]:
        return _by_assertion(request, form)
    return _by_secret(request, form.get("client_id", ""), form.get(_SECRET, ""))


def sending_client_id(request: HttpRequest, form: Parameters) -> str:
    """Return the authenticated client's name, or that of the public client, which has no secret."""
    client = sending_party(request, form)
    return client.client_id if client else FIRST_PARTY


def sending_party(request: HttpRequest, form: Parameters) -> ServiceClient | None:
    """Return the authenticated client, or None: the public client, which has no secret."""
    if form.get("client_id") == FIRST_PARTY and not _presents_credential(request, form):
        return None
    return sending_client(request, form)


def _presents_credential(request: HttpRequest, form: Parameters) -> bool:
    in_form = any(name in form for name in _FORM_CREDENTIALS)
    return in_form or presented_credential(request) is not None


def _by_basic(request: HttpRequest, form: Parameters) -> ServiceClient:
    credentials = basic_credentials(request)
    if credentials is None:
        refuse_client("another_scheme", context=context_of(request))
    client_id, secret = credentials
    if form.get("client_id", client_id) != client_id:
        raise InvalidRequest("client_id is not the client that authenticates.")
    return _by_secret(request, client_id, secret)


def _by_secret(request: HttpRequest, client_id: str, secret: str) -> ServiceClient:
    context = context_of(request)
    if not (client_id or secret):
        refuse_client("no_credentials", context=context)
    if not (_VSCHARS.fullmatch(client_id) and _VSCHARS.fullmatch(secret)):
        refuse_client("malformed_credentials", context=context)
    return authenticate_client(client_id=client_id, client_secret=secret, context=context)


def _by_assertion(request: HttpRequest, form: Parameters) -> ServiceClient:
    """Take an assertion for this server or for this very endpoint."""
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequest("client_assertion_type is not that of a JWT.")
    return authenticate_assertion(
        assertion=form[_ASSERTION],
        audiences=(settings.ISSUER_URL, f"{settings.ISSUER_URL}{request.path}"),
        client_id=form.get("client_id", ""),
        context=context_of(request),
    )
