"""Somebody with a browser who goes to a provider and comes back."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from accounts.federation.connections import forget_connections
from accounts.federation.providers import parse_providers
from accounts.models import FederatedIdentity, SecurityEvent, SessionFamily, User
from tests.factories import bearer

FEDERATION = "/api/v1/auth/federation"
IDENTITIES = "/api/v1/me/identities"
JSON = "application/json"


@dataclass
class Browser:
    """A browser with its own cookies."""

    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def begin(self, provider: str = "corp", **body: str) -> Any:
        return self.client.post(f"{FEDERATION}/{provider}", body, JSON)

    def begin_linking(self, access: str, provider: str = "corp") -> Any:
        return self.client.post(f"{IDENTITIES}/{provider}", headers=bearer(access))

    def finish(self, query: dict[str, str], provider: str = "corp") -> Any:
        return self.client.get(f"{FEDERATION}/{provider}/callback", query)

    def sign_in(self, server: Any, provider: str = "corp", **changes: Any) -> Any:
        """Go there and come back."""
        begun = self.begin(provider)
        assert begun.status_code == 200, begun.content
        return self.finish(server.approve(begun.json()["authorization_url"], **changes), provider)


def configure(settings: Any, *entries: dict[str, Any]) -> None:
    settings.FEDERATED_PROVIDERS = parse_providers(json.dumps(entries), production=False)
    forget_connections()


def link(
    user: User, server: Any, *, sub: str = "user-1", provider: str = "corp"
) -> FederatedIdentity:
    """Link a person without going there."""
    issuer = getattr(server, "issuer", server.url)
    return FederatedIdentity.objects.create(user=user, provider=provider, iss=issuer, sub=sub)


def refused(answer: Any, code: str = "federation_refused") -> bool:
    """Say that nobody has come in, and that the answer tells no cause."""
    assert answer.json()["code"] == code, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.json().keys() == {"type", "title", "status", "detail", "code", "request_id"}
    return nobody_came()


def nobody_came() -> bool:
    return not any("fed" in family.amr for family in SessionFamily.objects.all())


def reason_of() -> str:
    """Return why the latest one was refused, as the security log has it."""
    event = SecurityEvent.objects.filter(code="federation_refused").latest("at")
    return str(event.data["reason"])
