"""Sealed fields, digests and password hashing: everything that turns a secret into a row."""

from accounts.crypto.aead import open_sealed, seal
from accounts.crypto.digests import keyed_digests, same_digest, secret_digest

__all__ = ["keyed_digests", "open_sealed", "same_digest", "seal", "secret_digest"]
