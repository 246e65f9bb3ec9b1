"""End a signing key before its successor would: it signs no more, or was found out."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import Decision, SigningKey
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.rotate_signing_keys import add_keys
from accounts.signals import signing_keys_changed
from accounts.tokens.errors import SigningKeyUnknown
from accounts.tokens.key_states import never_signs
from accounts.tokens.key_store import key_store
from accounts.tokens.keyring import forget_key_ring
from batchtokens_verifier.jws import Purpose


def retire_signing_key(
    *,
    kid: str,
    reason: str,
    actor: str = "",
    compromised: bool = False,
    now: datetime | None = None,
) -> SigningKey:
    """Let a key sign no more from now on; its private part is destroyed.

    Where it is the one that signs, the next one that is published takes over at once, or a new one.
    A plainly retired key stays published while its tokens live; a compromised one is published and
    believed no more: here at once, in other processes within KEY_RING_TTL. Ending it again changes
    nothing, but a retired one may still turn out to be compromised. actor: who decides, as
    `Decision` has it.
    Raises SigningKeyUnknown; SigningKeyNotOurs for a row that the key store has not vouched for.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        key, others = _lock(kid)
        if not (key.compromised_at if compromised else key.retired_at):
            decision = Decision("staff", actor, reason)
            _end(key, decision, compromised=compromised, now=now)
            _ensure_successor(key, others, now, actor=actor)
    forget_key_ring()
    return key


def _lock(kid: str) -> tuple[SigningKey, list[SigningKey]]:
    """Return the key and the others of its purpose, kept from two commands at once."""
    wanted = SigningKey.objects.filter(kid=kid).first()
    if wanted is None:
        raise SigningKeyUnknown
    rows = SigningKey.objects.for_purpose(wanted.purpose).order_by("pk").select_for_update()
    keys = {row.kid: row for row in rows}
    return keys.pop(kid), list(keys.values())


def _end(key: SigningKey, decision: Decision, *, compromised: bool, now: datetime) -> None:
    key_store.destroy(key, at=now, compromised=compromised)
    key.save(update_fields=["retired_at", "compromised_at", "private_sealed"])
    what = "compromised" if compromised else "retired"
    signing_keys_changed.send(
        SigningKey, keys=[key], what=what, decision=decision, context=NOWHERE, now=now
    )
    record_event(
        code="signing_key_compromised" if compromised else "signing_key_retired",
        correlation=decision.correlation,
        data={"kid": key.kid, "purpose": key.purpose, **decision.kept()},
        now=now,
    )


def _ensure_successor(
    key: SigningKey, others: list[SigningKey], now: datetime, *, actor: str
) -> None:
    able = [other for other in others if other.retired_at is None]
    if any(key.activates_at < other.activates_at <= now for other in able) or never_signs(key):
        return
    upcoming = [other for other in able if other.activates_at > now]
    if upcoming:
        successor = min(upcoming, key=lambda other: other.activates_at)
        key_store.amend(successor, activates_at=now)
        successor.save(update_fields=["activates_at", "private_sealed"])
    else:
        add_keys([Purpose(key.purpose)], activates_at=now, now=now, actor=actor)
