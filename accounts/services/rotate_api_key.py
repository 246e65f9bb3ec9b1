"""Replace a key by a new one for the same, and let the old one open a while longer."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.errors import ApiKeyNotRotatable
from accounts.models import ApiKey, RequestContext, User
from accounts.services.create_api_key import (
    KeyTerms,
    NewApiKey,
    add_api_key,
    check_reach,
    check_room,
    tell_of_new_key,
)
from accounts.services.record_event import NOWHERE, actor_data, record_event
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

LONGEST_OVERLAP = timedelta(days=30)


def rotate_api_key(
    *,
    api_key: ApiKey,
    overlap: timedelta,
    at_most: Collection[str] | None = None,
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> NewApiKey:
    """Make the key's one successor, which lives as long as the key was made to live.

    The key itself ends after the overlap, or at its own end if that comes first; without an
    overlap it is revoked.  Its row is locked: of many rotations at once, one succeeds.
    at_most: what the credential that asks for it holds itself; no successor opens more.
    Raises InvalidFieldsError, InvalidScope, ApiKeyNotRotatable, AccountInactive, TooManyApiKeys.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        detail = f"From 0 to {LONGEST_OVERLAP.days} days."
        raise InvalidFieldsError([FieldError("/overlap", "invalid", detail)])
    check_reach(api_key.scopes, at_most)
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        check_room(api_key.owner, now)
        old = ApiKey.objects.locked(now).select_related("client", "user").filter(pk=api_key.pk)
        current = old.first()
        if current is None or current.successor_id:
            raise ApiKeyNotRotatable
        new = add_api_key(current.owner, _terms_of_successor(current, now), now=now)
        _end(current, new.api_key, now + overlap, now)
        _record(current, new.api_key, by, context, now)
        tell_of_new_key(new.api_key, by=by, context=context, now=now)
    return new


def _terms_of_successor(api_key: ApiKey, now: datetime) -> KeyTerms:
    return KeyTerms(
        api_key.name, api_key.scopes, _expiry_of_successor(api_key, now), api_key.allowed_networks
    )


def _expiry_of_successor(api_key: ApiKey, now: datetime) -> datetime | None:
    """Give it as long a life, unless the policy is stricter by now."""
    if api_key.expires_at is None:
        return None
    life = api_key.expires_at - api_key.created_at
    return now + (min(life, settings.API_KEY_MAX_AGE) if api_key.user else life)


def _end(api_key: ApiKey, successor: ApiKey, ends_at: datetime, now: datetime) -> None:
    api_key.successor = successor
    if ends_at == now:
        api_key.revoked_at = now
    else:
        api_key.expires_at = min(api_key.expires_at or ends_at, ends_at)
    api_key.save(update_fields=["successor", "revoked_at", "expires_at"])


def _record(
    api_key: ApiKey, successor: ApiKey, by: User | None, context: RequestContext, now: datetime
) -> None:
    data = {"api_key": api_key.public_id, "successor": successor.public_id}
    record_event(
        code="api_key_rotated",
        user=api_key.user,
        client=api_key.client,
        data={**data, **actor_data(by)},
        context=context,
        now=now,
    )
