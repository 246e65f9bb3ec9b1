"""Untie an account from who its person is elsewhere."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import LastWayIn, UnknownId
from accounts.models import (
    Amr,
    EmailKind,
    FederatedIdentity,
    RequestContext,
    SessionFamily,
    SignInChallenge,
    User,
)
from accounts.services.end_session import end_places
from accounts.services.lock_person import lock_person
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, record_event


def unlink_identity(
    *,
    identity_id: uuid.UUID,
    by: User,
    keep: uuid.UUID,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Untie one of a person's own identities, if they can sign in without it.

    With it end the places that providers have opened, save the one that `keep` names.
    Raises UnknownId, LastWayIn.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        # Of two at once, the second sees what the first has left.
        person = lock_person(user=by)
        own = FederatedIdentity.objects.filter(user=person)
        identity = own.filter(pk=identity_id).first()
        if identity is None:
            raise UnknownId
        if not (person.has_usable_password() or _leads_in(own.exclude(pk=identity_id))):
            raise LastWayIn
        data = {"identity": identity.public_id, "provider": identity.provider}
        identity.delete()
        record_event(code="identity_unlinked", user=person, data=data, context=context, now=now)
        told = {"provider": identity.provider, "label": identity.label}
        queue_email(kind=EmailKind.IDENTITY_UNLINKED, user=person, data=told, context=context)
        _end_what_providers_opened(person, keep, context, now)


def _leads_in(identities: QuerySet[FederatedIdentity]) -> bool:
    """Say whether one of them is at a provider that people can still come from."""
    issuers = [provider.issuer for provider in settings.FEDERATED_PROVIDERS.values()]
    return identities.filter(iss__in=issuers).exists()


def _end_what_providers_opened(
    person: User, keep: uuid.UUID, context: RequestContext, now: datetime
) -> None:
    """End places and sign-ins that are half done: whoever lost the account there is in here, too.

    Those of the person's other providers as well: a place does not say which one opened it.
    """
    places = SessionFamily.objects.filter(user=person, amr__0=Amr.FEDERATED).exclude(pk=keep)
    end_places(families=places, why="identity_unlinked", by=person, context=context, now=now)
    half_done = SignInChallenge.objects.filter(user=person, spent_at=None, amr__0=Amr.FEDERATED)
    half_done.update(spent_at=now)
