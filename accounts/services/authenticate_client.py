"""Let a service client in by one of its API keys."""

from datetime import datetime, timedelta
from typing import NoReturn

from django.utils import timezone

from accounts.errors import InvalidClient
from accounts.models import ApiKey, RequestContext, ServiceClient
from accounts.models.api_key import parse_api_key
from accounts.services.record_event import NOWHERE, count_refusal

USE_NOTED_EVERY = timedelta(minutes=1)


def authenticate_client(
    *,
    client_id: str,
    client_secret: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> ServiceClient:
    """Authenticate by name and secret (RFC 6749 section 2.3.1).

    One statement, and at most once a minute a second one that notes the key's use.
    Raises InvalidClient, whatever was wrong.
    """
    client = authenticate_api_key(key=client_secret, context=context, now=now)
    if client.client_id != client_id:
        _refuse("another_client", context)
    return client


def authenticate_api_key(
    *, key: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> ServiceClient:
    """Authenticate by API key alone; the client is narrowed to what the key opens.

    Raises InvalidClient, whatever was wrong.
    """
    now = now or timezone.now()
    parts = parse_api_key(key)
    if parts is None:
        _refuse("malformed_key", context)
    row = ApiKey.objects.usable(now).select_related("client").filter(identifier=parts.identifier)
    found = row.first()
    if found is None or not found.matches(parts):
        _refuse("unknown_key", context)
    if found.last_used_at is None or now - found.last_used_at >= USE_NOTED_EVERY:
        row.update(last_used_at=now)
    found.client.narrowed_to = frozenset(found.scopes)
    return found.client


def _refuse(reason: str, context: RequestContext) -> NoReturn:
    count_refusal(code="client_refused", reason=reason, context=context)
    raise InvalidClient
