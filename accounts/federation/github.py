"""Sign-in at GitHub, or a GitHub Enterprise server: OAuth with PKCE; the API says who it is.

GitHub signs no ID tokens: what binds its answer is state, PKCE, the secret and TLS.
"""

from datetime import datetime
from typing import Any

from accounts.errors import FederationRefused
from accounts.federation.identities import Identity, usable_email, usable_name
from accounts.federation.oauth import authorization_url, bearer, in_form, token_form
from accounts.federation.providers import GITHUB, Provider
from accounts.federation.transport import exchange
from accounts.federation.trips import Trip

API = "https://api.github.com"
API_VERSION = {"X-GitHub-Api-Version": "2022-11-28", "User-Agent": "authproject"}


class GitHubConnection:
    """GitHub, or a server like it: on its own host the API is under /api/v3."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        base = provider.issuer.rstrip("/")
        self._login = f"{base}/login/oauth"
        self._api = API if provider.issuer == GITHUB else f"{base}/api/v3"

    def authorization_url(self, *, state: str, trip: Trip) -> str:
        """Return where to send the browser."""
        return authorization_url(f"{self._login}/authorize", self.provider, state=state, trip=trip)

    def check_sender(self, iss: str | None) -> None:
        """Want the answer to name nobody else (RFC 9207); GitHub need not name itself.

        Raises FederationRefused.
        """
        if iss is not None and iss not in {self.provider.issuer, self._login}:
            raise FederationRefused("the answer is another provider's")

    def identify(self, *, code: str, trip: Trip, now: datetime | None = None) -> Identity:
        """Redeem a code, and say who came.

        Raises FederationRefused.
        """
        form = token_form(code, trip, in_form(self.provider))
        # A refusal is 200, too, with `error` and without a token.
        tokens = exchange("POST", f"{self._login}/access_token", form=form).members()
        access_token = tokens.get("access_token")
        if not isinstance(access_token, str) or not access_token:
            raise FederationRefused("no access token")
        user = self._ask("/user", access_token)
        number = user.get("id") if isinstance(user, dict) else None
        # The number: a login can be given up, and taken by somebody else.
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**63:
            raise FederationRefused("no user id")
        email = self._verified_email(access_token) if self.provider.sign_up else ""
        return Identity(
            iss=self.provider.issuer,
            sub=str(number),
            email=email,
            email_verified=bool(email),
            name=usable_name(user.get("login")),
        )

    def _verified_email(self, access_token: str) -> str:
        """Return the primary address if GitHub has verified it, else ""."""
        listed = self._ask("/user/emails", access_token)
        found = [
            usable_email(entry)
            for entry in (listed if isinstance(listed, list) else [])
            if isinstance(entry, dict)
            and entry.get("primary") is True
            and entry.get("verified") is True
        ]
        return found[0] if found else ""

    def _ask(self, path: str, access_token: str) -> Any:
        headers = bearer(access_token) | API_VERSION
        return exchange("GET", f"{self._api}{path}", headers=headers).json()
