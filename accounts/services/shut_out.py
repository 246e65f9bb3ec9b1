"""End whatever a person's former secrets have opened, inside the caller's transaction."""

import uuid
from datetime import datetime

from accounts.models import LinkPurpose, RequestContext, SessionFamily, SignInChallenge, User
from accounts.models.user import new_session_salt
from accounts.services.draw_link import void_links
from accounts.services.end_session import end_places
from accounts.services.lock_person import lock_person
from accounts.services.stop_email_changes import stop_email_changes


def shut_out(
    *,
    user: User,
    why: str,
    context: RequestContext,
    now: datetime,
    keep: uuid.UUID | None = None,
    by: User | None = None,
) -> None:
    """End the person's places, save the one that `keep` names, and what is half done.

    `by`: who did it, where it was not the person.
    The salt ends browser sessions that have no place.
    """
    lock_person(user=user)  # before the places, as who stores a password does: no deadlock
    places = SessionFamily.objects.filter(user=user)
    others = places if keep is None else places.exclude(pk=keep)
    end_places(families=others, why=why, by=by or user, context=context, now=now)
    SignInChallenge.objects.filter(user=user, spent_at=None).update(spent_at=now)
    void_links(user=user, purposes=[LinkPurpose.RESET_PASSWORD], now=now)
    stop_email_changes(users=User.objects.filter(pk=user.pk), now=now)
    if keep is None:
        user.session_salt = new_session_salt()
        User.objects.filter(pk=user.pk).update(session_salt=user.session_salt)
