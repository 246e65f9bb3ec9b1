"""Exchange a refresh token for its one successor (docs/adr/0001; RFC 9700 section 4.14.2).

A token that is neither the newest of its family nor its parent within a short grace is a
replay: somebody else holds the chain, so the family ends, and stays ended after the refusal.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.crypto import keyed_digests, same_digest, secret_digest
from accounts.errors import InvalidScope
from accounts.models import EndReason, Outcome, RequestContext, SessionFamily
from accounts.models.session_family import MAX_REISSUES
from accounts.scopes import parse_scope
from accounts.services.grant_scope import keep_scope, narrow_scope
from accounts.services.record_event import NOWHERE, count_refusal, record_event
from accounts.tokens.pair import TokenPair, sign_pair
from accounts.tokens.refresh import RefreshClaims, read_refresh_token, successor_names
from batchtokens_verifier.errors import TokenNotValid

GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Presented:
    """A refresh token, who showed it (as digests) and what the access token is to open."""

    jti: str
    jti_digest: str
    by_digest: str
    key_digest: str
    asked: frozenset[str]
    context: RequestContext


@dataclass(frozen=True, slots=True)
class _Renewal:
    """The family's row after it moved on, the newest token's name, the access token's scope."""

    family: SessionFamily
    jti: str
    scope: str


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal that is committed before it is raised."""

    reason: str


def refresh_session(
    *,
    token: str,
    client_id: str | None = None,
    scope: str = "",
    idempotency_key: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> TokenPair:
    """Rotate a refresh token: one locking read and one update; meta-scopes are asked for anew.

    `scope` narrows the new access token alone; the session, and so the next one, keeps all.

    The same token again within 10 s, from the same address and agent or with the same
    Idempotency-Key, gets the same successor, at most ten times.
    With `client_id`, only that client's tokens are taken.
    Raises TokenNotValid, whatever was wrong with the token; InvalidScope, which rotates nothing.
    """
    now = now or timezone.now()
    asked = parse_scope(scope)
    claims = _read(token, client_id, context)
    presented = _present(claims, asked, idempotency_key, context)
    try:
        with transaction.atomic(durable=True):
            answer = _renew(claims, presented, now)
    except InvalidScope:
        count_refusal(code="refresh_refused", reason="invalid_scope", context=context)
        raise
    if isinstance(answer, _Refusal):
        raise TokenNotValid(answer.reason)
    family = answer.family
    family.scope = answer.scope  # never saved: the next token begins with the session's own
    rotated_at = family.rotated_at or now
    return sign_pair(family, refresh_jti=answer.jti, refresh_issued_at=rotated_at, now=now)


def _read(token: str, client_id: str | None, context: RequestContext) -> RefreshClaims:
    try:
        return read_refresh_token(token, client_id=client_id)
    except TokenNotValid:
        count_refusal(code="refresh_refused", reason="not_valid", context=context)
        raise


def _present(
    claims: RefreshClaims, asked: frozenset[str], idempotency_key: str, context: RequestContext
) -> _Presented:
    who = f"{context.address}\n{context.user_agent}"
    return _Presented(
        jti=claims.jti,
        jti_digest=secret_digest(claims.jti),
        by_digest=keyed_digests("refresh caller", who)[0].hex(),
        key_digest=secret_digest(idempotency_key) if idempotency_key else "",
        asked=asked,
        context=context,
    )


def _renew(claims: RefreshClaims, presented: _Presented, now: datetime) -> _Renewal | _Refusal:
    """Decide under the row's lock; what is returned is committed."""
    family = SessionFamily.objects.locked(claims.family_id)
    if family is None or not family.is_live(now):
        _note_ended(presented)
        return _Refusal("the session has ended or its user is disabled")
    if same_digest(presented.jti_digest, family.current_jti_digest):
        scope = _scope_of(family, presented)
        return _Renewal(family, _rotate(family, presented, now), scope)
    successor = _successor_again(family, presented, now)
    if successor is None:
        return _end(family, presented, now)
    scope = _scope_of(family, presented)
    _reissue(family, now)
    return _Renewal(family, successor, scope)


def _scope_of(family: SessionFamily, presented: _Presented) -> str:
    """Decide before anything is written: a refused scope must not use the token up."""
    kept = keep_scope(user=family.user, granted=family.scope)
    return narrow_scope(granted=kept, asked=presented.asked)


def _rotate(family: SessionFamily, presented: _Presented, now: datetime) -> str:
    """Move the family on and name its newest token."""
    jti = successor_names(presented.jti)[0]
    family.previous_jti_digest = presented.jti_digest
    family.current_jti_digest = secret_digest(jti)
    family.rotated_at = family.last_used_at = now
    family.rotated_by_digest = presented.by_digest
    family.rotation_key_digest = presented.key_digest
    family.reissues = 0
    family.address = presented.context.address or None
    family.user_agent = presented.context.user_agent
    family.save(update_fields=_ROTATED)
    return jti


_ROTATED = [
    "previous_jti_digest",
    "current_jti_digest",
    "rotated_at",
    "last_used_at",
    "rotated_by_digest",
    "rotation_key_digest",
    "reissues",
    "address",
    "user_agent",
]


def _successor_again(family: SessionFamily, presented: _Presented, now: datetime) -> str | None:
    """Name the unused successor of the newest token's parent, if it may be signed once more."""
    if not same_digest(presented.jti_digest, family.previous_jti_digest):
        return None
    in_time = family.rotated_at is not None and now - family.rotated_at < GRACE
    same_caller = same_digest(presented.by_digest, family.rotated_by_digest)
    same_key = bool(presented.key_digest) and same_digest(
        presented.key_digest, family.rotation_key_digest
    )
    if not in_time or not (same_caller or same_key) or family.reissues >= MAX_REISSUES:
        return None
    names = successor_names(presented.jti)
    return next((n for n in names if secret_digest(n) == family.current_jti_digest), None)


def _reissue(family: SessionFamily, now: datetime) -> None:
    family.reissues += 1
    family.last_used_at = now
    family.save(update_fields=["reissues", "last_used_at"])


def _end(family: SessionFamily, presented: _Presented, now: datetime) -> _Refusal:
    SessionFamily.objects.filter(pk=family.pk).end(reason=EndReason.REPLAY, now=now)
    record_event(
        code="refresh_replayed",
        outcome=Outcome.REFUSED,
        user=family.user,
        data={"session": family.public_id},
        context=presented.context,
        now=now,
    )
    return _Refusal("a replay: the session was ended")


def _note_ended(presented: _Presented) -> None:
    count_refusal(code="refresh_refused", reason="session_ended", context=presented.context)
