"""Let somebody in by an API key: its row is read every time, so that revoking it works at once."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import FIRST_PARTY, ApiKey, RequestContext, ServiceClient
from accounts.models.api_key import parse_api_key
from accounts.scopes import USER_SCOPES
from accounts.services.record_event import NOWHERE
from accounts.services.refuse_client import refuse_client
from accounts.tokens.access import Grant

USE_NOTED_EVERY = timedelta(minutes=1)


def authenticate_api_key(
    *, key: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> Grant:
    """Return what a key grants, and to whom: never more than its owner has.

    Nobody signed in for it, so the grant has no `auth_time`.
    Raises InvalidClient, whatever was wrong; WaitForAttempt after too many.
    """
    api_key = open_api_key(key=key, context=context, now=now)
    if api_key.client:
        client = narrowed(api_key.client, api_key)
        return Grant(client, client.granted_scopes, client.client_id, settings.ISSUER_URL)
    scope = frozenset(api_key.scopes) & USER_SCOPES.keys()
    return Grant(api_key.owner, scope, FIRST_PARTY, settings.ISSUER_URL)


def open_api_key(
    *, key: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> ApiKey:
    """Return a key's row with its owner.

    One statement, and at most once a minute a second one that notes the key's use.
    Raises InvalidClient, whatever was wrong; WaitForAttempt after too many.
    """
    now = now or timezone.now()
    parts = parse_api_key(key)
    if parts is None:
        refuse_client("malformed_key", context=context)
    usable = ApiKey.objects.usable(now).select_related("client", "user")
    found = usable.filter(identifier=parts.identifier).first()
    if found is None or not found.matches(parts):
        refuse_client("unknown_key", context=context)
    if not found.allows(context.address):
        refuse_client("another_network", context=context)
    _note_use(found, now)
    return found


def narrowed(client: ServiceClient, api_key: ApiKey) -> ServiceClient:
    """Narrow a client to what its key opens, and for as long."""
    client.narrowed_to = frozenset(api_key.scopes)
    client.shown_key = api_key.public_id
    return client


def _note_use(api_key: ApiKey, now: datetime) -> None:
    lately = now - USE_NOTED_EVERY
    if api_key.last_used_at is None or api_key.last_used_at <= lately:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=lately)
        ApiKey.objects.filter(unnoted, pk=api_key.pk).update(last_used_at=now)
