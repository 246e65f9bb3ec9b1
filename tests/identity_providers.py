"""An OpenID provider and a GitHub that do as they should, until a test makes them hostile."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from joserfc.jwk import ECKey, RSAKey

from tests.loopback import Asked, Loopback, Said
from tests.tokens import forge

CLIENT_ID = "authproject at corp"
CLIENT_SECRET = "a secret/with+signs:and spaces"
GITHUB_ENTRY = {
    "name": "github",
    "kind": "github",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
}


class Member(Enum):
    """What stands for no value, and is written alike in the names of tests by every worker."""

    ABSENT = "absent"


ABSENT = Member.ABSENT
Claims = dict[str, Any]
Signer = Callable[[dict[str, Any], Claims], str]


@cache
def rsa_key() -> RSAKey:
    return RSAKey.generate_key(2048)


@cache
def ec_key() -> ECKey:
    return ECKey.generate_key("P-256")


@dataclass(frozen=True)
class Grant:
    """What a code was given out for."""

    nonce: str
    challenge: str
    redirect_uri: str


def as_json(value: object, status: int = 200) -> Said:
    return Said(json.dumps(value).encode(), status, {"Content-Type": "application/json"})


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return members with some changed, and without those that are ABSENT."""
    merged = {**members, **changes}
    return {name: value for name, value in merged.items() if value is not ABSENT}


class OidcProvider(Loopback):
    """Each attribute but the first few is a switch."""

    def __init__(self) -> None:
        super().__init__()
        self.issuer = self.url
        self.sub = "user-1"
        self.checks_verifier = True
        self.document: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.claims: Claims = {}
        self.userinfo: Claims = {}
        self.jwks: list[dict[str, Any]] = [
            rsa_key().as_dict(private=False) | {"kid": "rsa", "alg": "RS256", "use": "sig"},
            ec_key().as_dict(private=False) | {"kid": "ec", "alg": "ES256", "use": "sig"},
        ]
        self.sign: Signer = lambda header, claims: forge(header, claims, rsa_key())
        self.grants: dict[str, Grant] = {}
        self.access_tokens: set[str] = set()
        self.routes = {
            "/.well-known/openid-configuration": self._discovery,
            "/jwks": lambda _: as_json({"keys": self.jwks}),
            "/token": self._token,
            "/userinfo": self._userinfo,
        }

    def entry(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return what the operator writes into the setting."""
        return {
            "name": name,
            "kind": "oidc",
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        } | changes

    def approve(self, authorization_url: str, **changes: Any) -> dict[str, str]:
        """Sign somebody in, and return the query that the browser is sent back with."""
        asked = dict(parse_qsl(urlsplit(authorization_url).query))
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(
            asked.get("nonce", ""), asked["code_challenge"], asked["redirect_uri"]
        )
        return changed({"code": code, "state": asked["state"], "iss": self.issuer}, changes)

    def _discovery(self, asked: Asked) -> Said:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
        return as_json(changed(document, self.document))

    def _token(self, asked: Asked) -> Said:
        grant = self.grants.pop(asked.form.get("code", ""), None)
        digest = hashlib.sha256(asked.form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = (
            grant is not None
            and self._knows_client(asked)
            and grant.redirect_uri == asked.form.get("redirect_uri")
            and (grant.challenge == challenge or not self.checks_verifier)
        )
        if grant is None or not good:
            return as_json({"error": "invalid_grant"}, 400)
        access_token = secrets.token_urlsafe(16)
        self.access_tokens.add(access_token)
        id_token = self.id_token(nonce=grant.nonce)
        return as_json({"access_token": access_token, "token_type": "Bearer", "id_token": id_token})

    def _knows_client(self, asked: Asked) -> bool:
        scheme, _, value = asked.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            shown = (asked.form.get("client_id"), asked.form.get("client_secret"))
            return shown == (CLIENT_ID, CLIENT_SECRET)
        pair = base64.b64decode(value).decode().split(":")
        return [unquote_plus(part) for part in pair] == [CLIENT_ID, CLIENT_SECRET]

    def id_token(self, *, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.sub,
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
        }
        header = changed({"alg": "RS256", "kid": "rsa"}, self.header)
        return self.sign(header, changed(claims, self.claims))

    def _userinfo(self, asked: Asked) -> Said:
        if asked.headers.get("Authorization", "").removeprefix("Bearer ") not in self.access_tokens:
            return as_json({}, 401)
        return as_json({"sub": self.sub} | self.userinfo)


class GitHubServer(Loopback):
    """A GitHub Enterprise server: the login under its own host, the API under /api/v3."""

    def __init__(self) -> None:
        super().__init__()
        self.user: dict[str, Any] = {"id": 583231, "login": "octocat"}
        self.emails: Any = []
        self.challenges: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.routes = {
            "/login/oauth/access_token": self._token,
            "/api/v3/user": lambda asked: self._for_holder(asked, self.user),
            "/api/v3/user/emails": lambda asked: self._for_holder(asked, self.emails),
        }

    def entry(self, **changes: Any) -> dict[str, Any]:
        """Return what the operator writes into the setting."""
        return GITHUB_ENTRY | {"base_url": self.url} | changes

    def approve(self, authorization_url: str, **changes: Any) -> dict[str, str]:
        asked = dict(parse_qsl(urlsplit(authorization_url).query))
        code = secrets.token_urlsafe(10)
        self.challenges[code] = asked["code_challenge"]
        return changed({"code": code, "state": asked["state"]}, changes)

    def _token(self, asked: Asked) -> Said:
        challenge = self.challenges.pop(asked.form["code"], "")
        digest = hashlib.sha256(asked.form["code_verifier"].encode()).digest()
        if challenge != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
            return as_json({"error": "bad_verification_code"})  # with status 200, as GitHub does
        token = f"gho_{secrets.token_urlsafe(16)}"
        self.tokens.add(token)
        return as_json({"access_token": token, "token_type": "bearer", "scope": "read:user"})

    def _for_holder(self, asked: Asked, value: object) -> Said:
        shown = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        return as_json(value) if shown in self.tokens else as_json({}, 401)


@contextmanager
def serving(*servers: Loopback) -> Iterator[None]:
    """Serve with the first, and so on."""
    if not servers:
        yield
        return
    with servers[0].serving(), serving(*servers[1:]):
        yield
