"""Register a machine principal."""

import base64
import re
import secrets
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import FIRST_PARTY, RequestContext, ServiceClient
from accounts.scopes import CLIENT_SCOPES
from accounts.services.create_api_key import KeyTerms, add_api_key, tell_of_new_key
from accounts.services.record_event import NOWHERE, record_event
from accounts.tokens.client_keys import check_jwks
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

# No colon (RFC 7617 section 2), and nothing that could be read as the id of a person.
_CLIENT_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?![0-9a-f]{32}$)){0,99}")
URL_MAX_LENGTH = 500
_DELIVERY_SECRET_BYTES = 32


class NewServiceClient(NamedTuple):
    """The row, and its first secret, which nobody can read again; "" if it has none."""

    client: ServiceClient
    secret: str


def create_service_client(
    *,
    client_id: str,
    scopes: Collection[str] = (),
    audience: str | None = None,
    delivery_url: str = "",
    jwks: object = None,
    with_secret: bool = True,
    context: RequestContext = NOWHERE,
) -> NewServiceClient:
    """Store a client with its first API key and, where it takes deliveries, a signing secret.

    jwks: its public keys for `private_key_jwt`, if it has any; it may then go without a secret.
    Raises InvalidFieldsError.
    """
    check_service_client(
        client_id=client_id, scopes=scopes, audience=audience, delivery_url=delivery_url
    )
    client = ServiceClient(
        client_id=client_id,
        scopes=sorted(set(scopes)),
        audience=audience or None,
        delivery_url=delivery_url,
        jwks={} if jwks is None else check_jwks(jwks),
    )
    if delivery_url:
        client.set_delivery_secret(_new_delivery_secret())
    try:
        with transaction.atomic(durable=True):
            client.save(force_insert=True)
            data = {"client_id": client_id, "scopes": client.scopes}
            record_event(code="client_created", client=client, data=data, context=context)
            return NewServiceClient(client, _add_secret(client, context) if with_secret else "")
    except IntegrityError as error:
        raise InvalidFieldsError([_taken(error)]) from error


def _add_secret(client: ServiceClient, context: RequestContext) -> str:
    now = timezone.now()
    new = add_api_key(client, KeyTerms("first", client.scopes), now=now)
    tell_of_new_key(new.api_key, by=None, context=context, now=now)
    return new.text


def _new_delivery_secret() -> str:
    """Draw a secret as Standard Webhooks 1.0 writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_DELIVERY_SECRET_BYTES)).decode()


def _taken(error: IntegrityError) -> FieldError:
    """Name the unique column; SQLite names it as a column, PostgreSQL by its constraint."""
    member = "audience" if "audience" in str(error).split("DETAIL")[0] else "client_id"
    return FieldError(f"/{member}", "taken", "Another client has this already.")


def check_service_client(
    *, client_id: str, scopes: Collection[str], audience: str | None, delivery_url: str
) -> None:
    """Check what a client says of itself.

    Raises InvalidFieldsError, with every member that is wrong.
    """
    errors = []
    if not _CLIENT_ID.fullmatch(client_id) or client_id == FIRST_PARTY:
        detail = "Use letters, digits, dots, dashes and underscores."
        errors.append(FieldError("/client_id", "invalid", detail))
    if unknown := set(scopes) - set(CLIENT_SCOPES):
        detail = f"Unknown scope: {min(unknown)}."
        errors.append(FieldError("/scopes", "invalid_scope", detail))
    if audience and (not _is_url(audience) or audience == settings.ISSUER_URL):
        detail = "Use an absolute http or https address that is not this service's own."
        errors.append(FieldError("/audience", "invalid", detail))
    if delivery_url and not _is_url(delivery_url):
        errors.append(FieldError("/delivery_url", "invalid", "Use an http or https address."))
    if errors:
        raise InvalidFieldsError(errors)


def _is_url(text: str) -> bool:
    """Accept an absolute URI without a fragment (RFC 8707 section 2)."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = len(text) <= URL_MAX_LENGTH and text.isprintable() and not {" ", "#"} & set(text)
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
