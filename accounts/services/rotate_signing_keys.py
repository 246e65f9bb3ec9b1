"""Make signing keys: the first ones, and their successors."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from joserfc.jwk import ECKey

from accounts.crypto import seal
from accounts.errors import TooManyKeys
from accounts.models import SigningKey
from accounts.services.record_event import NOWHERE, record_event
from accounts.signals import signing_keys_changed
from accounts.tokens.keyring import forget_key_ring, load_key_ring
from batchtokens_verifier.jws import MAX_KEYS, Purpose

# RFC 7518 section 6.2.1.1: the curve of ES256.
CURVE = "P-256"


def ensure_signing_keys(*, now: datetime | None = None) -> list[SigningKey]:
    """Make a first key for each purpose that has none that is active; return the new ones."""
    now = now or timezone.now()
    active = set(SigningKey.objects.filter(activates_at__lte=now).values_list("purpose", flat=True))
    return _make_keys([purpose for purpose in Purpose if purpose.value not in active], now, now)


def rotate_signing_keys(
    *,
    overlap: timedelta,
    purposes: Collection[Purpose] = tuple(Purpose),
    now: datetime | None = None,
) -> list[SigningKey]:
    """Publish a successor for each purpose; it begins to sign once `overlap` has passed.

    The overlap gives every verifier's cache the time to see the new key before its first token.
    Raises TooManyKeys.
    """
    now = now or timezone.now()
    published = len(load_key_ring(now=now).jwks()["keys"])
    if published + len(purposes) > MAX_KEYS:
        raise TooManyKeys(f"{published} keys are published; verifiers take at most {MAX_KEYS}.")
    return _make_keys(purposes, now + overlap, now)


def _make_keys(
    purposes: Collection[Purpose], activates_at: datetime, now: datetime
) -> list[SigningKey]:
    if not purposes:
        return []
    with transaction.atomic(durable=True):
        keys = SigningKey.objects.bulk_create(
            [_generate_key(purpose, activates_at) for purpose in purposes]
        )
        signing_keys_changed.send(SigningKey, keys=keys, what="added", context=NOWHERE, now=now)
        record_event(
            code="signing_keys_created",
            data={"keys": [{"kid": key.kid, "purpose": key.purpose} for key in keys]},
        )
    forget_key_ring()
    return keys


def _generate_key(purpose: Purpose, activates_at: datetime) -> SigningKey:
    """Draw a key pair; its id is its RFC 7638 thumbprint."""
    pair = ECKey.generate_key(CURVE)
    key = SigningKey(
        kid=pair.thumbprint(),
        purpose=purpose.value,
        public_jwk=pair.as_dict(private=False),
        activates_at=activates_at,
    )
    private = json.dumps(pair.as_dict(private=True)).encode()
    key.private_sealed = seal(private, context=key.seal_context())
    return key
