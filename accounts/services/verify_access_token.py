"""Tell what an access token grants, with its session and its holder looked up live."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import ApiKey, ServiceClient, SessionFamily
from accounts.models.service_client import ServiceClientQuerySet
from accounts.scopes import parse_scope
from accounts.services.grant_scope import held_scopes, without_lost
from accounts.tokens.access import Grant, as_datetime, read_access_token
from batchtokens_verifier.claims import AccessTokenClaims
from batchtokens_verifier.errors import TokenNotValid

ANY_AUDIENCE: tuple[str, ...] = ()
"""For callers that only report on a token and never act on it, such as introspection."""


def verify_access_token(
    token: str,
    *,
    audience: str | Collection[str] | None = None,
    now: datetime | None = None,
) -> Grant:
    """Verify a token for one audience (default: this API), for one of several, or for any.

    One statement: an ended session, a disabled person or client, and a revoked API key that a
    client got it for, are refused at once.  A scope that its holder lost is left out.
    Raises TokenNotValid, whatever was wrong.
    """
    now = now or timezone.now()
    claims = read_access_token(token, now=now)
    allowed = _audiences(audience)
    if allowed and claims.aud not in allowed:
        raise TokenNotValid("another audience")
    if claims.sid:
        return _grant_of_family(claims, claims.sid, now)
    return _grant_of_client(claims, now)


def _audiences(audience: str | Collection[str] | None) -> Collection[str]:
    if audience is None:
        return (settings.ISSUER_URL,)
    return (audience,) if isinstance(audience, str) else audience


def _grant_of_family(claims: AccessTokenClaims, sid: str, now: datetime) -> Grant:
    granted = parse_scope(claims.scope)
    families = SessionFamily.objects.live(now).select_related("user")
    families = families.annotate(**held_scopes(granted))
    try:
        family = families.get(pk=parse_public_id(sid, "ses"), client_id=claims.client_id)
    except (UnknownId, SessionFamily.DoesNotExist):
        raise TokenNotValid("the session has ended or its user is disabled") from None
    if family.user.public_id != claims.sub:
        raise TokenNotValid("the session is somebody else's")
    return Grant(
        subject=family.user,
        scope=without_lost(granted, family),
        client_id=claims.client_id,
        audience=claims.aud,
        session_id=family.public_id,
        # The token's own, not the family's: only a stepped-up token says more than its sign-in.
        auth_time=None if claims.auth_time is None else as_datetime(claims.auth_time),
        acr=claims.acr or "",
        amr=claims.amr,
        jti=claims.jti,
        expires_at=as_datetime(claims.exp),
    )


def _grant_of_client(claims: AccessTokenClaims, now: datetime) -> Grant:
    client = _clients(claims, now).filter(client_id=claims.sub).first()
    if client is None or claims.client_id != claims.sub:
        raise TokenNotValid("the client is disabled or unknown, or its key opens nothing")
    return Grant(
        subject=client,
        scope=parse_scope(claims.scope) & frozenset(client.scopes),
        client_id=client.client_id,
        audience=claims.aud,
        jti=claims.jti,
        expires_at=as_datetime(claims.exp),
    )


def _clients(claims: AccessTokenClaims, now: datetime) -> ServiceClientQuerySet:
    """Keep clients that may authenticate; where the token names a key, only while it opens."""
    clients = ServiceClient.objects.active()
    if claims.key is None:
        return clients
    try:
        identifier = parse_public_id(claims.key, ApiKey.public_prefix)
    except UnknownId:
        raise TokenNotValid("no key of ours") from None
    own = ApiKey.objects.usable(now).filter(pk=identifier, client=OuterRef("pk"))
    return clients.filter(Exists(own))
