"""Make signing keys: the first ones, and their successors."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Decision, SigningKey
from accounts.services.record_event import NOWHERE, record_event
from accounts.signals import signing_keys_changed
from accounts.tokens.errors import TooManyKeys
from accounts.tokens.key_store import key_store
from accounts.tokens.keyring import forget_key_ring, load_key_ring
from batchtokens_verifier.jws import MAX_KEYS, Purpose


def ensure_signing_keys(*, now: datetime | None = None) -> list[SigningKey]:
    """Make a first key for each purpose that has none that is active; return the new ones."""
    now = now or timezone.now()
    active = set(SigningKey.objects.filter(activates_at__lte=now).values_list("purpose", flat=True))
    return _make_keys([purpose for purpose in Purpose if purpose.value not in active], now, now)


def rotate_signing_keys(
    *,
    overlap: timedelta,
    purposes: Collection[Purpose] = tuple(Purpose),
    actor: str = "",
    now: datetime | None = None,
) -> list[SigningKey]:
    """Publish a successor for each purpose; it begins to sign once `overlap` has passed.

    The overlap gives every verifier's cache the time to see the new key before its first token.
    actor: who decides, as `Decision` has it. Raises TooManyKeys.
    """
    now = now or timezone.now()
    check_room(len(purposes), now=now)
    return _make_keys(purposes, now + overlap, now, actor=actor)


def check_room(more: int, *, now: datetime) -> None:
    """Raise TooManyKeys where verifiers would not take so many more keys."""
    published = len(load_key_ring(now=now).jwks()["keys"])
    if published + more > MAX_KEYS:
        raise TooManyKeys(f"{published} keys are published; verifiers take at most {MAX_KEYS}.")


def _make_keys(
    purposes: Collection[Purpose], activates_at: datetime, now: datetime, *, actor: str = ""
) -> list[SigningKey]:
    if not purposes:
        return []
    with transaction.atomic(durable=True):
        keys = add_keys(purposes, activates_at=activates_at, now=now, actor=actor)
    forget_key_ring()
    return keys


def add_keys(
    purposes: Iterable[Purpose], *, activates_at: datetime, now: datetime, actor: str = ""
) -> list[SigningKey]:
    """Store a new key for each purpose; call it in a transaction."""
    keys = SigningKey.objects.bulk_create(
        [key_store.generate(purpose=purpose, activates_at=activates_at) for purpose in purposes]
    )
    decision = Decision("staff" if actor else "system", actor)
    signing_keys_changed.send(
        SigningKey, keys=keys, what="added", decision=decision, context=NOWHERE, now=now
    )
    made = [{"kid": key.kid, "purpose": key.purpose} for key in keys]
    record_event(
        code="signing_keys_created",
        correlation=decision.correlation,
        data={"keys": made, **decision.kept()},
    )
    return keys
