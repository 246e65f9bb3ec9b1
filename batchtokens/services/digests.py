"""Digests of request texts and tokens, as rows keep them."""

import hashlib

from batchtokens_verifier.canonical import b64url


def text_digest(text: str) -> str:
    """Return base64url(SHA-256(text)): 43 characters."""
    return b64url(hashlib.sha256(text.encode()).digest())
