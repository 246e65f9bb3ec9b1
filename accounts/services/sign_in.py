"""Sign a person in with username and password, and open a session family."""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import InvalidCredentials, InvalidScope
from accounts.ids import new_id
from accounts.models import RequestContext, SessionFamily, SessionKind, User
from accounts.scopes import format_scope
from accounts.services.choose_audience import choose_audience
from accounts.services.grant_scope import check_scope, grant_scope
from accounts.services.record_event import NOWHERE, count_refusal, record_event
from accounts.tokens.marks import new_jti
from accounts.tokens.pair import TokenPair, sign_pair

ACR_PASSWORD = "aal1"  # NIST SP 800-63B: one factor
AMR_PASSWORD = ("pwd",)  # RFC 8176 section 2


def sign_in(
    *,
    username: str,
    password: str,
    scope: str = "",
    resource: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> TokenPair:
    """Check the password, then open a mobile session and sign its first pair of tokens.

    Raises InvalidScope, InvalidTarget; InvalidCredentials for unknown user, wrong password and
    inactive user alike, after the same work.
    """
    now = now or timezone.now()
    asked = check_scope(scope)
    audience = choose_audience(resource)
    user = check_password(username=username, password=password, context=context, now=now)
    try:
        granted = format_scope(grant_scope(user=user, asked=asked))
    except InvalidScope:
        count_refusal(
            code="sign_in_refused", reason="invalid_scope", user=user, context=context, now=now
        )
        raise
    refresh_jti = new_jti()
    family = _new_family(
        user=user, audience=audience, scope=granted, jti=refresh_jti, context=context, now=now
    )
    pair = sign_pair(family, refresh_jti=refresh_jti, refresh_issued_at=now, now=now)
    with transaction.atomic(durable=True):
        family.save(force_insert=True)
        User.objects.filter(pk=user.pk).update(last_login=now)
        data = {"session": family.public_id, "scope": granted}
        record_event(code="signed_in", user=user, data=data, context=context, now=now)
    return pair


def check_password(
    *, username: str, password: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> User:
    """Find the active person whose password this is.

    Raises InvalidCredentials.
    """
    user = User.objects.filter(username_folded=username).first()
    if user is None:
        User().set_password(password)  # an unknown name costs a hash, like a wrong password
        reason = "unknown_user"
    elif not user.check_password(password):
        reason = "wrong_password"
    elif not user.is_active:
        reason = "inactive_user"
    else:
        return user
    count_refusal(code="sign_in_refused", reason=reason, user=user, context=context, now=now)
    raise InvalidCredentials


def _new_family(
    *, user: User, audience: str, scope: str, jti: str, context: RequestContext, now: datetime
) -> SessionFamily:
    return SessionFamily(
        id=new_id(),
        user=user,
        kind=SessionKind.MOBILE,
        audience=audience,
        scope=scope,
        auth_time=now,
        acr=ACR_PASSWORD,
        amr=list(AMR_PASSWORD),
        created_at=now,
        last_used_at=now,
        expires_at=now + settings.SESSION_FAMILY_LIFETIME,
        address=context.address or None,
        user_agent=context.user_agent,
        current_jti_digest=secret_digest(jti),
    )
