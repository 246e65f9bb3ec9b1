"""Sealed fields, digests and password hashing: everything that turns a secret into a row."""

from accounts.crypto.aead import current_key_name, open_sealed, reseal, seal, sealed_prefix
from accounts.crypto.digests import keyed_digests, same_digest, secret_digest

__all__ = [
    "current_key_name",
    "keyed_digests",
    "open_sealed",
    "reseal",
    "same_digest",
    "seal",
    "sealed_prefix",
    "secret_digest",
]
