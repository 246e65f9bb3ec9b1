"""What one way to a provider and back is bound by; only its own row holds it, sealed."""

import json
import secrets
from dataclasses import asdict, dataclass, field

from accounts.crypto import open_sealed, seal


@dataclass(frozen=True, slots=True)
class Trip:
    """nonce: OIDC Core 3.1.2.1.  verifier: RFC 7636 section 4.1.  Both 256 random bits."""

    redirect_uri: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def new(cls, redirect_uri: str) -> "Trip":
        """Draw the secrets of a new one."""
        return cls(redirect_uri, secrets.token_urlsafe(32), secrets.token_urlsafe(32))

    @classmethod
    def opened(cls, sealed: bytes | memoryview, *, state_digest: str) -> "Trip":
        """Open what `sealed` made.

        Raises SealBroken.
        """
        return cls(**json.loads(open_sealed(sealed, context=_context(state_digest))))

    def sealed(self, *, state_digest: str) -> bytes:
        """Seal it for the row of its state alone."""
        return seal(json.dumps(asdict(self)).encode(), context=_context(state_digest))


def _context(state_digest: str) -> str:
    return f"federation request {state_digest}"
