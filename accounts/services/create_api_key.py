"""Give a service client one more secret, or take one back."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import InvalidScope
from accounts.models import ApiKey, RequestContext, ServiceClient, User
from accounts.models.api_key import generate_api_key
from accounts.services.record_event import NOWHERE, actor_data, record_event


class NewApiKey(NamedTuple):
    """The row, and the key itself, which nobody can read again."""

    api_key: ApiKey
    text: str


def create_api_key(
    *,
    client: ServiceClient,
    name: str,
    scopes: Collection[str] | None = None,
    expires_at: datetime | None = None,
    context: RequestContext = NOWHERE,
) -> NewApiKey:
    """Make a key for some or all (None) of the client's scopes.

    Raises InvalidScope for a scope that the client does not have.
    """
    with transaction.atomic(durable=True):
        return add_api_key(client, name, scopes, expires_at, context)


def add_api_key(
    client: ServiceClient,
    name: str,
    scopes: Collection[str] | None,
    expires_at: datetime | None,
    context: RequestContext,
) -> NewApiKey:
    """Make a key inside the caller's transaction."""
    wanted = sorted(client.scopes if scopes is None else set(scopes))
    if not set(wanted) <= set(client.scopes):
        raise InvalidScope("A key cannot open more than its client.")
    parts = generate_api_key()
    api_key = ApiKey.objects.create(
        client=client,
        identifier=parts.identifier,
        secret_digest=secret_digest(parts.text),
        scopes=wanted,
        name=name,
        expires_at=expires_at,
    )
    data = {"api_key": api_key.public_id, "scopes": wanted}
    record_event(code="api_key_created", client=client, data=data, context=context)
    return NewApiKey(api_key, parts.text)


def revoke_api_key(
    *,
    api_key: ApiKey,
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> bool:
    """Make a key open nothing from now on; False if it was revoked already."""
    with transaction.atomic(durable=True):
        unrevoked = ApiKey.objects.filter(pk=api_key.pk, revoked_at=None)
        revoked = unrevoked.update(revoked_at=now or timezone.now()) == 1
        if revoked:
            data = {"api_key": api_key.public_id, **actor_data(by)}
            record_event(code="api_key_revoked", client=api_key.client, data=data, context=context)
    return revoked
