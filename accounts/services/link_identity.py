"""Tie somebody at a provider to the account whose person has set out for it."""

from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.errors import FederationRefused, IdentityTaken
from accounts.federation.identities import Identity
from accounts.federation.providers import Provider
from accounts.models import (
    EmailKind,
    FederatedIdentity,
    FederationRequest,
    RequestContext,
    SessionFamily,
    User,
)
from accounts.services.queue_email import queue_email
from accounts.services.record_event import count_refusal, record_event


def link_identity(
    *,
    identity: Identity,
    request: FederationRequest,
    provider: Provider,
    context: RequestContext,
    now: datetime,
) -> FederatedIdentity:
    """Link while the session that has asked for it still lives.

    Raises FederationRefused if it does not; IdentityTaken if the identity is somebody's already,
    or the person has another one of this provider.
    """
    try:
        with transaction.atomic(durable=True):
            user = _still_signed_in(request, now)
            if user is not None:
                return add_identity(
                    user=user, identity=identity, provider=provider, context=context, now=now
                )
    except IntegrityError:
        count_refusal(
            code="federation_refused",
            reason=IdentityTaken.code,
            user=request.user,
            context=context,
            now=now,
        )
        raise IdentityTaken from None
    raise FederationRefused("the session that has asked for it has ended")


def add_identity(
    *,
    user: User,
    identity: Identity,
    provider: Provider,
    context: RequestContext,
    now: datetime,
) -> FederatedIdentity:
    """Store an identity and tell its person, inside the caller's transaction."""
    row = FederatedIdentity.objects.create(
        user=user,
        provider=provider.name,
        iss=identity.iss,
        sub=identity.sub,
        label=identity.label,
        created_at=now,
    )
    data = {"identity": row.public_id, "provider": provider.name}
    record_event(code="identity_linked", user=user, data=data, context=context, now=now)
    told = {"provider": provider.label, "label": row.label}
    queue_email(kind=EmailKind.IDENTITY_LINKED, user=user, data=told, context=context)
    return row


def _still_signed_in(request: FederationRequest, now: datetime) -> User | None:
    """Return the person, and keep their session from ending before the link is stored."""
    if request.family_id is None or request.user_id is None:
        return None
    live = SessionFamily.objects.live(now).select_related("user")
    locked = live.select_for_update(of=("self",), no_key=True)
    family = locked.filter(pk=request.family_id, user_id=request.user_id).first()
    return family.user if family else None
