"""Let a service client in by its name and one of its API keys."""

from datetime import datetime

from accounts.models import RequestContext, ServiceClient
from accounts.services.authenticate_api_key import narrowed, open_api_key
from accounts.services.record_event import NOWHERE
from accounts.services.refuse_client import refuse_client


def authenticate_client(
    *,
    client_id: str,
    client_secret: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> ServiceClient:
    """Authenticate by name and secret (RFC 6749 section 2.3.1).

    One statement, and at most once a minute a second one that notes the key's use.
    Raises InvalidClient, whatever was wrong; WaitForAttempt after too many.
    """
    api_key = open_api_key(key=client_secret, context=context, now=now)
    if api_key.client is None or api_key.client.client_id != client_id:
        refuse_client("another_client", context=context)
    return narrowed(api_key.client, api_key)
