"""Let a service client in by `private_key_jwt`: an assertion that it signed (RFC 7523)."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.models import ClientAssertion, RequestContext, ServiceClient
from accounts.services.record_event import NOWHERE
from accounts.services.refuse_client import refuse_client
from accounts.tokens.access import as_datetime
from accounts.tokens.assertions import Assertion, Spendable, parse_assertion, verify_assertion
from accounts.tokens.client_keys import client_keys
from batchtokens_verifier.errors import TokenNotValid

REMEMBERED_LONGER = timedelta(minutes=1)
"""For processes whose clocks differ: none may still accept what another has forgotten."""


def authenticate_assertion(
    *,
    assertion: str,
    audiences: Collection[str],
    client_id: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> ServiceClient:
    """Authenticate by an assertion for one of these audiences, which then is used up.

    client_id: the client that the request itself names, "" if it names none.
    Two statements; the second is the database's word that nobody showed the assertion before.
    Raises InvalidClient, whatever was wrong; WaitForAttempt after too many.
    """
    now = now or timezone.now()
    try:
        presented = parse_assertion(assertion)
        client = _client_of(presented, client_id)
        keys = client_keys(client.jwks)
        verified = verify_assertion(presented, keys=keys, audiences=audiences, now=now)
    except TokenNotValid as error:
        refuse_client(f"assertion: {error.reason}", context=context)
    # After the signature: a stranger uses no assertion up.
    if not _spend(client, verified):
        refuse_client("assertion: used", context=context)
    return client


def _client_of(presented: Assertion, client_id: str) -> ServiceClient:
    if client_id not in {"", presented.issuer}:  # RFC 7521 section 4.2
        raise TokenNotValid("another client")
    client = ServiceClient.objects.active().filter(client_id=presented.issuer).first()
    if client is None or not client.jwks:
        raise TokenNotValid("unknown client")
    return client


def _spend(client: ServiceClient, verified: Spendable) -> bool:
    return ClientAssertion.objects.spend(
        client=client,
        jti_digest=secret_digest(verified.jti),
        expires_at=as_datetime(verified.exp) + REMEMBERED_LONGER,
    )
