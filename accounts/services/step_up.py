"""Prove anew who one is, without signing in again (RFC 9470).

The new access token alone says so: the place it belongs to, and every token that is refreshed
from it, keep saying when and how its person signed in.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import InvalidRequest
from accounts.models import Amr, RequestContext, SessionFamily, TotpDevice, User, acr_of
from accounts.scopes import format_scope, parse_scope
from accounts.services.check_password import verify_password
from accounts.services.grant_scope import keep_scope
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.verify_second_factor import verify_second_factor
from accounts.tokens.access import AccessToken, Grant
from accounts.tokens.refresh import read_refresh_token
from batchtokens_verifier.errors import TokenNotValid

FIRST_FACTORS = (Amr.PASSWORD, Amr.FEDERATED)


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """A fresh access token as text.  `expires_in`: seconds."""

    access: str = field(repr=False)
    expires_in: int
    scope: str
    token_type: str = "Bearer"


def step_up(
    *,
    grant: Grant | None,
    refresh: str = "",
    otp: str = "",
    password: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> SteppedUp:
    """Sign an access token that says `now`, for the place of the refresh token or of the grant.

    It opens no more than the token shown.  A person with an authenticator app sends an `otp`,
    anybody else their password.
    Raises TokenNotValid, InvalidRequest, InvalidOtp, InvalidCredentials, WaitForAttempt.
    """
    now = now or timezone.now()
    family = _family_of_refresh(refresh, now) if refresh else _family_of_grant(grant, now)
    amr = _prove(family, otp, password, context, now)
    with transaction.atomic(durable=True):
        current = SessionFamily.objects.locked(family.pk)
        ended = current is None or not current.is_live(now)
        if not ended:
            data = {"session": family.public_id, "amr": amr}
            record_event(code="stepped_up", user=family.user, data=data, context=context, now=now)
    if ended:
        raise TokenNotValid("the session ended meanwhile")
    return _sign(family, amr, now)


def _family_of_refresh(refresh: str, now: datetime) -> SessionFamily:
    """Find the place of a refresh token that was not replaced yet; it is not used up."""
    claims = read_refresh_token(refresh)
    newest = SessionFamily.objects.live(now).filter(current_jti_digest=secret_digest(claims.jti))
    family = newest.select_related("user").filter(pk=claims.family_id).first()
    if family is None:
        raise TokenNotValid("the session has ended, or the token was replaced")
    return family


def _family_of_grant(grant: Grant | None, now: datetime) -> SessionFamily:
    """Find the place of an access token, narrowed to what the token opens."""
    if grant is None or grant.family_id is None or not isinstance(grant.subject, User):
        raise TokenNotValid("no token of a person")
    live = SessionFamily.objects.live(now).select_related("user")
    family = live.filter(pk=grant.family_id).first()
    if family is None:
        raise TokenNotValid("the session has ended")
    family.audience = grant.audience
    family.scope = format_scope(grant.scope & parse_scope(family.scope))
    return family


def _prove(
    family: SessionFamily, otp: str, password: str, context: RequestContext, now: datetime
) -> list[str]:
    """Judge the one factor that is wanted, and say how the new token's person was known."""
    user = family.user
    if TotpDevice.objects.is_on_for(user.pk):
        if not otp or password:
            raise InvalidRequest("Send a code of your authenticator app.", pointer="/otp")
        second = verify_second_factor(user=user, code=otp, context=context, now=now)
        return [*(m for m in family.amr if m in FIRST_FACTORS), second, Amr.SEVERAL]
    if not password or otp:
        raise InvalidRequest("Send your password.", pointer="/password")
    verify_password(user=user, password=password, context=context, now=now)
    return [Amr.PASSWORD]


def _sign(family: SessionFamily, amr: list[str], now: datetime) -> SteppedUp:
    # Never saved: only this token says more than the sign-in did.
    family.auth_time, family.amr, family.acr = now, amr, acr_of(amr)
    family.scope = keep_scope(user=family.user, granted=family.scope)
    access = AccessToken.for_family(family, now=now)
    return SteppedUp(str(access), access["exp"] - access["iat"], family.scope)
