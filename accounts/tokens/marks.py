"""What every token of ours carries: a random name and its times."""

import secrets
from datetime import datetime

JTI_BYTES = 16


def new_jti() -> str:
    """Draw a token's name: 128 random bits."""
    return secrets.token_urlsafe(JTI_BYTES)


def epoch(instant: datetime) -> int:
    """Write a NumericDate (RFC 7519 section 2): whole seconds, rounded down."""
    return int(instant.timestamp())


def timestamps(issued_at: datetime, expires_at: datetime) -> dict[str, int]:
    """Write `iat`, `nbf` and `exp`."""
    return {"iat": epoch(issued_at), "nbf": epoch(issued_at), "exp": epoch(expires_at)}
