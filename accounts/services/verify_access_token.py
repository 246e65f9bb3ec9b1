"""Tell what an access token grants, with its session and its holder looked up live."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import ServiceClient, SessionFamily
from accounts.scopes import parse_scope
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

    One statement: an ended session, a disabled person or client is refused at once.
    Raises TokenNotValid, whatever was wrong.
    """
    now = now or timezone.now()
    claims = read_access_token(token, now=now)
    allowed = _audiences(audience)
    if allowed and claims.aud not in allowed:
        raise TokenNotValid("another audience")
    if claims.sid:
        return _grant_of_family(claims, claims.sid, now)
    return _grant_of_client(claims)


def _audiences(audience: str | Collection[str] | None) -> Collection[str]:
    if audience is None:
        return (settings.ISSUER_URL,)
    return (audience,) if isinstance(audience, str) else audience


def _grant_of_family(claims: AccessTokenClaims, sid: str, now: datetime) -> Grant:
    families = SessionFamily.objects.live(now).select_related("user")
    try:
        family = families.get(pk=parse_public_id(sid, "ses"), client_id=claims.client_id)
    except (UnknownId, SessionFamily.DoesNotExist):
        raise TokenNotValid("the session has ended or its user is disabled") from None
    if family.user.public_id != claims.sub:
        raise TokenNotValid("the session is somebody else's")
    return Grant(
        subject=family.user,
        scope=parse_scope(claims.scope),
        client_id=claims.client_id,
        audience=claims.aud,
        session_id=family.public_id,
        auth_time=family.auth_time,
        acr=family.acr,
        amr=tuple(family.amr),
        jti=claims.jti,
        expires_at=as_datetime(claims.exp),
    )


def _grant_of_client(claims: AccessTokenClaims) -> Grant:
    client = ServiceClient.objects.active().filter(client_id=claims.sub).first()
    if client is None or claims.client_id != claims.sub:
        raise TokenNotValid("the client is disabled or unknown")
    return Grant(
        subject=client,
        scope=parse_scope(claims.scope) & frozenset(client.scopes),
        client_id=client.client_id,
        audience=claims.aud,
        jti=claims.jti,
        expires_at=as_datetime(claims.exp),
    )
