"""End signed-in places: one by its person or its token, or many by an operator."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.ids import public_id
from accounts.models import EndReason, Outcome, RequestContext, SecurityEvent, SessionFamily, User
from accounts.models.session_family import SessionFamilyQuerySet
from accounts.models.user import new_session_salt
from accounts.services.lock_person import lock_person
from accounts.services.record_event import NOWHERE, actor_data, record_event
from accounts.services.stop_email_changes import stop_email_changes
from accounts.tokens.refresh import read_refresh_token
from batchtokens_verifier.errors import TokenNotValid

BATCH = 500


def end_session(
    *,
    family_id: uuid.UUID,
    by: User,
    reason: EndReason = EndReason.LOGOUT,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> bool:
    """End one place of a person's own; False if there was none or it had ended."""
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        own = SessionFamily.objects.filter(pk=family_id, user=by)
        ended = own.end(reason=reason, now=now) == 1
        if ended:
            session = public_id(SessionFamily.public_prefix, family_id)
            data = {"session": session, "reason": reason.value}
            record_event(code="session_ended", user=by, data=data, context=context, now=now)
    return ended


def end_session_of_token(
    *, token: str, client_id: str | None = None, context: RequestContext = NOWHERE
) -> bool:
    """End the place that a refresh token belongs to (RFC 7009); False if it opens none.

    With `client_id`, only that client's tokens are taken.
    """
    try:
        claims = read_refresh_token(token, client_id=client_id)
    except TokenNotValid:
        return False
    family = SessionFamily.objects.select_related("user").filter(pk=claims.family_id).first()
    return family is not None and end_session(family_id=family.pk, by=family.user, context=context)


def end_sessions(
    *,
    families: SessionFamilyQuerySet,
    why: str = "",
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> int:
    """End all these places, one event each, and return how many; a batch is all or nothing."""
    now = now or timezone.now()
    ended = 0
    while True:
        with transaction.atomic(durable=True):
            batch = list(_locked(families)[:BATCH])
            _end(batch, why=why, by=by, context=context, now=now)
        ended += len(batch)
        if len(batch) < BATCH:
            return ended


def end_places(
    *,
    families: SessionFamilyQuerySet,
    why: str,
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime,
) -> int:
    """End all these places inside the caller's transaction: with what it changes, or not at all."""
    places = list(_locked(families))
    _end(places, why=why, by=by, context=context, now=now)
    return len(places)


def end_other_sessions(
    *,
    user: User,
    keep: uuid.UUID | None,
    why: str = "",
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> int:
    """End all places of a person but one, and return how many; None keeps none.

    Changes of address that were asked for end, too.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        lock_person(user=user)
        stop_email_changes(users=User.objects.filter(pk=user.pk), now=now)
    families = SessionFamily.objects.filter(user=user)
    others = families if keep is None else families.exclude(pk=keep)
    return end_sessions(families=others, why=why, by=by or user, context=context, now=now)


def sign_out_everywhere(
    *,
    users: QuerySet[User],
    why: str = "",
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> int:
    """End all places of these people and all their browser sessions; return how many places.

    Changes of address that were asked for end, too.
    One update ends the browser sessions, one event tells of it.
    """
    now = now or timezone.now()
    only = list(users[:2])
    with transaction.atomic(durable=True):
        people = users.update(session_salt=new_session_salt())
        stop_email_changes(users=users, now=now)
        record_event(
            code="signed_out_everywhere",
            user=only[0] if len(only) == 1 else None,
            data={"people": people, "why": why, **actor_data(by)},
            context=context,
            now=now,
        )
    families = SessionFamily.objects.filter(user__in=users)
    return end_sessions(families=families, why=why, by=by, context=context, now=now)


def _locked(families: SessionFamilyQuerySet) -> SessionFamilyQuerySet:
    """Read, and keep from others until commit, what is to be ended: each has one event."""
    rows = families.not_ended().select_for_update(of=("self",), no_key=True)
    return rows.order_by("pk")


def _end(
    places: Sequence[SessionFamily],
    *,
    why: str,
    by: User | None,
    context: RequestContext,
    now: datetime,
) -> None:
    data = {"reason": EndReason.REVOKED.value, "why": why, **actor_data(by)}
    pks = [place.pk for place in places]
    SessionFamily.objects.filter(pk__in=pks).end(reason=EndReason.REVOKED, now=now)
    SecurityEvent.objects.bulk_create(_ended_events(places, data, context, now))


def _ended_events(
    families: Sequence[SessionFamily],
    data: dict[str, str],
    context: RequestContext,
    now: datetime,
) -> list[SecurityEvent]:
    return [
        SecurityEvent(
            at=now,
            code="session_ended",
            outcome=Outcome.SUCCESS,
            user_id=family.user_id,
            address=context.address or None,
            user_agent=context.user_agent,
            request_id=context.request_id,
            data={"session": family.public_id, **data},
        )
        for family in families
    ]
