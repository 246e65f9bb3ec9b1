"""Fields sealed at rest with AES-256-GCM (NIST SP 800-38D).

The first of FIELD_ENCRYPTION_KEYS seals, all of them open, so keys can be rotated in place.
Layout: one version byte, four bytes naming the key, a 96-bit nonce, ciphertext and tag.
"""

import os
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from accounts.errors import SealBroken

_VERSION = b"\x01"
_NAME_BYTES = 4
# NIST SP 800-38D, section 8.2.2: random nonces are 96 bits.
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _NAME_BYTES + _NONCE_BYTES


def seal(plaintext: bytes, *, context: str) -> bytes:
    """Encrypt a value so that it opens only under the same context."""
    name, cipher = _cipher(settings.FIELD_ENCRYPTION_KEYS[0])
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + name + nonce + cipher.encrypt(nonce, plaintext, context.encode())


def open_sealed(sealed: bytes | memoryview, *, context: str) -> bytes:
    """Decrypt what `seal` made.

    Raises SealBroken if it was changed, moved to another context, or its key is gone.
    """
    sealed = bytes(sealed)  # PostgreSQL hands out a memoryview
    name = sealed[len(_VERSION) : len(_VERSION) + _NAME_BYTES]
    nonce = sealed[len(_VERSION) + _NAME_BYTES : _HEADER_BYTES]
    ciphers = dict(_cipher(key) for key in settings.FIELD_ENCRYPTION_KEYS)
    if not sealed.startswith(_VERSION) or len(nonce) != _NONCE_BYTES or name not in ciphers:
        raise SealBroken
    try:
        return ciphers[name].decrypt(nonce, sealed[_HEADER_BYTES:], context.encode())
    except InvalidTag:
        raise SealBroken from None


def reseal(sealed: bytes | memoryview, *, context: str) -> bytes:
    """Seal again under the first key what any of the keys opens.

    Raises SealBroken.
    """
    return seal(open_sealed(sealed, context=context), context=context)


def sealed_prefix() -> bytes:
    """Return how everything begins that the first key has sealed."""
    return _VERSION + _cipher(settings.FIELD_ENCRYPTION_KEYS[0])[0]


def current_key_name() -> str:
    """Name the first key, in hex; the name tells nothing of the key."""
    return _cipher(settings.FIELD_ENCRYPTION_KEYS[0])[0].hex()


@cache
def _cipher(key: bytes) -> tuple[bytes, AESGCM]:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"field encryption").derive(key)
    digest = Hash(SHA256())
    digest.update(b"key name" + derived)
    return digest.finalize()[:_NAME_BYTES], AESGCM(derived)
