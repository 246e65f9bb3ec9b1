"""Digests of what may not be stored: bearer values, secrets, who was there."""

import hashlib
import hmac
from functools import cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def secret_digest(secret: str) -> str:
    """Hash a random value of at least 128 bits: SHA-256, hex.  Never for passwords."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same_digest(left: str, right: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def keyed_digests(purpose: str, value: str) -> list[bytes]:
    """HMAC-SHA-256 under each server key; the first is what is written today.

    The others let what an earlier key made be recognised until that key is removed.
    """
    keys = (_key(key, purpose) for key in settings.FIELD_ENCRYPTION_KEYS)
    return [hmac.digest(key, value.encode(), hashlib.sha256) for key in keys]


@cache
def _key(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"digest " + purpose.encode()).derive(key)
