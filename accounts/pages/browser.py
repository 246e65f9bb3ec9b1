"""A browser's session and the place that it is bound to (a SessionFamily of kind browser).

The session holds the place's id; the place alone says whether somebody is signed in.
"""

import uuid
from collections.abc import Sequence

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, login
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts.models import RequestContext, SessionFamily, User
from accounts.services.end_session import end_session
from accounts.services.open_session import open_browser_session
from accounts.services.step_up_browser_session import step_up_browser_session
from accounts.services.use_browser_session import use_browser_session

PLACE = "place"
_AT_HAND = "_browser_place"


def sign_in_browser(request: HttpRequest, *, user: User, amr: Sequence[str]) -> SessionFamily:
    """Sign a person in who has shown these factors; whatever key the browser had opens no more.

    Where that person is signed in already, it is a step-up of the same place.
    """
    context = RequestContext.of(request)
    place = place_of(request)
    if (
        place
        and place.user == user
        and step_up_browser_session(family=place, amr=amr, context=context)
    ):
        request.session.cycle_key()
    else:
        sign_out_browser(request)
        place = open_browser_session(user=user, amr=amr, context=context)
        request.session[PLACE] = str(place.pk)
        request.session.set_expiry(place.expires_at)
    login(request, user)
    setattr(request, _AT_HAND, place)
    return place


def sign_out_browser(request: HttpRequest) -> None:
    """End the browser's place, if it has one, and forget all that its session held."""
    place = place_of(request)
    if place is not None:
        end_session(family_id=place.pk, by=place.user, context=RequestContext.of(request))
    request.session.flush()
    setattr(request, _AT_HAND, None)


def place_of(request: HttpRequest) -> SessionFamily | None:
    """Return the place of the request's browser with its person, None where nobody is signed in.

    Asked of the database once a request.  A session whose place opens nothing is forgotten.
    """
    if not hasattr(request, _AT_HAND):
        setattr(request, _AT_HAND, _find_place(request))
    place: SessionFamily | None = getattr(request, _AT_HAND)
    return place


def person_of(request: HttpRequest) -> User | AnonymousUser:
    """Return who is signed in in the request's browser."""
    place = place_of(request)
    return AnonymousUser() if place is None else place.user


def _find_place(request: HttpRequest) -> SessionFamily | None:
    session: SessionBase = request.session
    if SESSION_KEY not in session:
        return None
    place = _place_named(session, RequestContext.of(request))
    if place is None or not _is_bound(session, place.user):
        session.flush()
        return None
    return place


def _place_named(session: SessionBase, context: RequestContext) -> SessionFamily | None:
    try:
        identifier = uuid.UUID(str(session.get(PLACE)))
    except ValueError:
        return None
    return use_browser_session(family_id=identifier, context=context)


def _is_bound(session: SessionBase, user: User) -> bool:
    """Say whether the session is this person's, and of their password as it is now.

    One from before the last change of SECRET_KEY gets a new key and today's hash.
    """
    shown = str(session.get(HASH_SESSION_KEY, ""))
    if str(session[SESSION_KEY]) != str(user.pk):
        return False
    current = user.get_session_auth_hash()
    if constant_time_compare(shown, current):
        return True
    former = user.get_session_auth_fallback_hash()
    bound = any(constant_time_compare(shown, each) for each in former)
    if bound:
        session.cycle_key()
        session[HASH_SESSION_KEY] = current
    return bound
