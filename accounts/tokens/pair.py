"""The two tokens that a signed-in app holds."""

from dataclasses import dataclass, field
from datetime import datetime

from accounts.models import SessionFamily
from accounts.tokens.access import AccessToken
from accounts.tokens.refresh import RefreshToken


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Tokens as text; neither shows in a log line.  `expires_in`: the access token's, seconds."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int
    scope: str
    token_type: str = "Bearer"


def sign_pair(
    family: SessionFamily, *, refresh_jti: str, refresh_issued_at: datetime, now: datetime
) -> TokenPair:
    """Sign a fresh access token beside the refresh token of this name."""
    access = AccessToken.for_family(family, now=now)
    refresh = RefreshToken.for_family(family, jti=refresh_jti, issued_at=refresh_issued_at)
    return TokenPair(
        access=str(access),
        refresh=str(refresh),
        expires_in=access["exp"] - access["iat"],
        scope=family.scope,
    )
