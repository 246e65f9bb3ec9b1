"""Send somebody to a provider, to sign in or to link who they are there.

The row of the way remembers who set out, and from which browser: nobody else finishes it.
"""

import re
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import FederationRefused, ProviderUnavailable
from accounts.federation.connections import connect
from accounts.federation.providers import Provider
from accounts.federation.trips import Trip
from accounts.models import FederationRequest, RequestContext, User
from accounts.scopes import format_scope
from accounts.services.choose_audience import choose_audience
from accounts.services.choose_provider import choose_provider
from accounts.services.grant_scope import check_scope
from accounts.services.note_federation_refusal import note_federation_refusal
from accounts.services.record_event import NOWHERE

LIFETIME = timedelta(minutes=10)
SECRET_BYTES = 32

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")  # SECRET_BYTES in base64url


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser is to go, and what it must bring back.  expires_in: seconds."""

    authorization_url: str = field(repr=False)
    browser: str = field(repr=False)
    expires_in: int = LIFETIME.seconds


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What the way is for: to sign in with these, or to link to this person's account."""

    scope: str = ""
    audience: str = ""
    user: User | None = None
    family_id: uuid.UUID | None = None


def begin_federation(
    *,
    provider: str,
    scope: str = "",
    resource: str = "",
    browser: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> Departure:
    """Begin to sign in.  browser: what an earlier departure has left there, or "".

    Raises UnknownId, InvalidScope, InvalidTarget, ProviderUnavailable.
    """
    chosen = choose_provider(provider)
    purpose = _Purpose(format_scope(check_scope(scope)), choose_audience(resource))
    return _depart(chosen, purpose, browser, context, now or timezone.now())


def begin_linking(
    *,
    provider: str,
    by: User,
    family_id: uuid.UUID,
    browser: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> Departure:
    """Begin to link who somebody is at a provider to the account that they are signed in to.

    Raises UnknownId, ProviderUnavailable.
    """
    chosen = choose_provider(provider)
    purpose = _Purpose(user=by, family_id=family_id)
    return _depart(chosen, purpose, browser, context, now or timezone.now())


def _depart(
    provider: Provider, purpose: _Purpose, browser: str, context: RequestContext, now: datetime
) -> Departure:
    state = secrets.token_urlsafe(SECRET_BYTES)
    # An earlier departure's is kept: somebody may have begun in another tab.
    kept = browser if _BROWSER.fullmatch(browser) else secrets.token_urlsafe(SECRET_BYTES)
    trip = Trip.new(redirect_uri_of(provider))
    try:
        url = connect(provider).authorization_url(state=state, trip=trip)
    except FederationRefused as refusal:
        note_federation_refusal(refusal, provider=provider.name, context=context, now=now)
        raise ProviderUnavailable from None
    with transaction.atomic(durable=True):
        FederationRequest.objects.create(
            state_digest=secret_digest(state),
            browser_digest=secret_digest(kept),
            provider=provider.name,
            secrets_sealed=trip.sealed(state_digest=secret_digest(state)),
            user=purpose.user,
            family_id=purpose.family_id,
            scope=purpose.scope,
            audience=purpose.audience,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    return Departure(url, kept)


def redirect_uri_of(provider: Provider) -> str:
    """Return where a provider sends browsers back: each has its own (RFC 9700 section 4.4.2.2)."""
    return f"{settings.ISSUER_URL}/api/v1/auth/federation/{provider.name}/callback"
