"""The providers that people may come from, as the operator names them (FEDERATED_PROVIDERS)."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

SETTING = "FEDERATED_PROVIDERS"
MOST_PROVIDERS = 20
LABEL_LENGTH = 60
TEXT_LENGTH = 500
GITHUB = "https://github.com"
SCOPES = {"oidc": "openid email profile", "github": "read:user user:email"}

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_REQUIRED = {"oidc": {"issuer"}, "github": set[str]()}
_ALWAYS = {"name", "kind", "client_id", "client_secret"}
_OPTIONAL = {"oidc": {"scope", "sign_up", "label"}, "github": {"sign_up", "label", "base_url"}}


class ProviderKind(StrEnum):
    OIDC = "oidc"
    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.  `issuer`: the `iss` of its identities, compared as text (OIDC Core 15.5.2)."""

    name: str
    kind: ProviderKind
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    sign_up: bool
    label: str


def parse_providers(text: str, *, production: bool) -> Mapping[str, Provider]:
    """Read the setting: a JSON list of objects; an empty text is no provider at all.

    Raises ImproperlyConfigured, which names the member and never its value.
    """
    if not text:
        return {}
    try:
        entries = json.loads(text)
    except ValueError:
        raise ImproperlyConfigured(f"{SETTING} must be JSON.") from None
    if not isinstance(entries, list) or len(entries) > MOST_PROVIDERS:
        raise ImproperlyConfigured(f"{SETTING} must be a list of at most {MOST_PROVIDERS} objects.")
    providers = [_Entry(index, entry, production).provider() for index, entry in enumerate(entries)]
    for member in ("name", "issuer"):
        if len({getattr(provider, member) for provider in providers}) != len(providers):
            raise ImproperlyConfigured(f"{SETTING}: two providers have the same {member}.")
    return {provider.name: provider for provider in providers}


def is_endpoint(url: object, *, loopback: bool) -> bool:
    """Say whether a provider may be spoken to there: https, or plain http on this machine.

    loopback: whether this machine is allowed at all.
    """
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        sane = parts.hostname and parts.port != 0 and len(url) <= TEXT_LENGTH
    except ValueError:
        return False
    if not sane or "@" in parts.netloc or "#" in url or "\\" in url:
        return False
    return parts.scheme == "https" or (loopback and _is_plain_loopback(parts))


def _is_plain_loopback(parts: SplitResult) -> bool:
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


class _Entry:
    """One object of the list while it is read."""

    def __init__(self, index: int, entry: object, production: bool) -> None:
        self._where = f"{SETTING}, entry {index + 1}"
        self._members: dict[str, Any] = (
            entry if isinstance(entry, dict) else self._refuse("must be an object")
        )
        self._loopback = not production

    def provider(self) -> Provider:
        """Return the provider."""
        kind = self._kind()
        self._check_members(kind)
        name = self._text("name")
        if not _NAME.fullmatch(name):
            self._refuse("name must be 1 to 40 of a-z, 0-9 and -, and begin with a letter")
        return Provider(
            name=name,
            kind=kind,
            issuer=self._address("issuer" if kind is ProviderKind.OIDC else "base_url", GITHUB),
            client_id=self._text("client_id"),
            client_secret=self._text("client_secret"),
            scope=self._scope(kind),
            sign_up=self._flag("sign_up"),
            label=self._label(name),
        )

    def _kind(self) -> ProviderKind:
        try:
            return ProviderKind(str(self._members.get("kind")))
        except ValueError:
            self._refuse(f"kind must be one of {', '.join(ProviderKind)}")

    def _check_members(self, kind: ProviderKind) -> None:
        required = _ALWAYS | _REQUIRED[kind]
        if missing := required - self._members.keys():
            self._refuse(f"{min(missing)} is missing")
        if self._members.keys() - required - _OPTIONAL[kind]:
            self._refuse(f"knows only {', '.join(sorted(required | _OPTIONAL[kind]))}")

    def _address(self, member: str, default: str) -> str:
        """Return an issuer (OIDC Discovery section 2: no query, no fragment)."""
        url = self._text(member, default)
        if not is_endpoint(url, loopback=self._loopback) or "?" in url:
            self._refuse(
                f"{member} must be an https address without query or fragment"
                " (http only to this machine, and outside production)"
            )
        return url

    def _scope(self, kind: ProviderKind) -> str:
        scope = self._text("scope", SCOPES[kind])
        if kind is ProviderKind.OIDC and "openid" not in scope.split():
            self._refuse("scope must hold openid")
        return scope

    def _label(self, name: str) -> str:
        label = self._text("label", name)
        if len(label) > LABEL_LENGTH:
            self._refuse(f"label must have at most {LABEL_LENGTH} characters")
        return label

    def _text(self, member: str, default: str = "") -> str:
        value = self._members.get(member, default)
        good = isinstance(value, str) and value.strip() and value.isprintable()
        if not good or len(value) > TEXT_LENGTH:
            self._refuse(f"{member} must be a text of 1 to {TEXT_LENGTH} visible characters")
        return str(value)

    def _flag(self, member: str) -> bool:
        value = self._members.get(member, False)
        if not isinstance(value, bool):
            self._refuse(f"{member} must be true or false")
        return bool(value)

    def _refuse(self, why: str) -> NoReturn:
        raise ImproperlyConfigured(f"{self._where}: {why}.")
