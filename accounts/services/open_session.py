"""Open a signed-in place, once every factor that is wanted has been shown."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import InvalidCredentials
from accounts.models import (
    FIRST_PARTY,
    EmailKind,
    RequestContext,
    SessionFamily,
    SessionKind,
    User,
    acr_of,
)
from accounts.scopes import DEFAULT_SCOPE
from accounts.services.name_device import name_device
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, count_refusal, record_event
from accounts.tokens.marks import new_jti
from accounts.tokens.pair import TokenPair, sign_pair

PLACES_COMPARED = 500


def open_mobile_session(
    *,
    user: User,
    audience: str,
    scope: str,
    amr: Sequence[str],
    context: RequestContext,
    now: datetime,
    client_id: str = FIRST_PARTY,
) -> TokenPair:
    """Store a session family and sign its first pair of tokens.

    Raises InvalidCredentials.
    """
    refresh_jti = new_jti()
    family = SessionFamily(
        client_id=client_id,
        kind=SessionKind.MOBILE,
        audience=audience,
        scope=scope,
        current_jti_digest=secret_digest(refresh_jti),
        **_opened(user, amr, context, now, settings.SESSION_FAMILY_LIFETIME),
    )
    pair = sign_pair(family, refresh_jti=refresh_jti, refresh_issued_at=now, now=now)
    _store(family, context, now)
    return pair


def open_browser_session(
    *,
    user: User,
    amr: Sequence[str],
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> SessionFamily:
    """Store the place that a browser's session is bound to; it holds no token.

    Raises InvalidCredentials.
    """
    now = now or timezone.now()
    family = SessionFamily(
        kind=SessionKind.BROWSER,
        audience=settings.ISSUER_URL,
        scope=DEFAULT_SCOPE,
        **_opened(user, amr, context, now, settings.BROWSER_SESSION_LIFETIME),
    )
    _store(family, context, now)
    return family


def _opened(
    user: User, amr: Sequence[str], context: RequestContext, now: datetime, lifetime: timedelta
) -> dict[str, Any]:
    """Say what every place begins with."""
    return {
        "user": user,
        "auth_time": now,
        "acr": acr_of(list(amr)),
        "amr": list(amr),
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + lifetime,
        "address": context.address or None,
        "user_agent": context.user_agent,
    }


def _store(family: SessionFamily, context: RequestContext, now: datetime) -> None:
    """Keep the place, and tell the log of it, and its person where the device is new.

    Raises InvalidCredentials if the password was changed, or the person disabled, while they
    signed in: what ended their other places was before this one.
    """
    with transaction.atomic(durable=True):
        unchanged = _is_unchanged(family.user, now)
        if unchanged:
            if _is_new_device(family, context):
                _tell_of_device(family, context, now)
            family.save(force_insert=True)
            _record(family, context, now)
    if not unchanged:
        refuse_changed(user=family.user, context=context, now=now)


def refuse_changed(*, user: User, context: RequestContext, now: datetime) -> NoReturn:
    """Refuse who signed in with what is theirs no more; called outside transactions."""
    reason = "changed_meanwhile"
    count_refusal(code="sign_in_refused", reason=reason, user=user, context=context, now=now)
    raise InvalidCredentials


def _is_unchanged(user: User, now: datetime) -> bool:
    """Note the sign-in on the person's row, and so wait for whoever is changing it."""
    same = User.objects.filter(pk=user.pk, is_active=True, password=user.password)
    return same.update(last_login=now) == 1


def _record(family: SessionFamily, context: RequestContext, now: datetime) -> None:
    data = {
        "session": family.public_id,
        "kind": family.kind,
        "scope": family.scope,
        "amr": family.amr,
    }
    record_event(code="signed_in", user=family.user, data=data, context=context, now=now)


def _is_new_device(family: SessionFamily, context: RequestContext) -> bool:
    """Say whether the person has been elsewhere, and never with this device from this network."""
    earlier = SessionFamily.objects.filter(user=family.user).order_by("-pk")
    places = set(earlier.values_list("address", "user_agent")[:PLACES_COMPARED])
    return bool(places) and _trace(context) not in {
        _trace(RequestContext(address or "", user_agent)) for address, user_agent in places
    }


def _trace(context: RequestContext) -> tuple[str, str]:
    """Return what tells one place from another: the device's name, and its network."""
    return name_device(context.user_agent), context.network


def _tell_of_device(family: SessionFamily, context: RequestContext, now: datetime) -> None:
    data = {"device": name_device(context.user_agent), "at": f"{now:%Y-%m-%d %H:%M} UTC"}
    queue_email(kind=EmailKind.NEW_DEVICE, user=family.user, data=data, context=context)
