"""The main flow over HTTP with everyone in it, who also do it wrong; what was secret is kept.

A scene is a function of the play; its secrets and the errors that it met stay with the play.
"""

import base64
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.contrib.auth.models import Group

from accounts.crypto import open_sealed
from accounts.models import ServiceClient, SigningKey, User
from accounts.models.api_key import generate_api_key
from accounts.services.create_api_key import create_api_key
from accounts.tokens.keyring import current_key_ring
from authproject.quickstart.demo import Credentials, Example
from batchtokens.models import QueuedRun, RunState
from batchtokens_verifier.canonical import b64url_decode
from batchtokens_verifier.jws import Purpose
from tests import insiders, mandates
from tests.cluster import due_now, eventually
from tests.leaks import read_together
from tests.oauth import ACCESS_TOKEN, EXCHANGE, details
from tests.tokens import claims_of

EXAMPLE = [sys.executable, "-m", "examples.savings"]
PASSWORD, WRONG_PASSWORD = "correct horse battery staple", "incorrect horse battery stable"
USERNAME = "alice"


@dataclass
class Play:
    """Asks for everyone; keeps the secrets that were used and the answers to what was refused."""

    url: str
    example: Example
    http: httpx.Client
    logs: dict[str, Path]
    folder: Path
    secrets: dict[str, bytes] = field(default_factory=dict)
    errors: bytes = b""

    def ask(self, method: str, address: str, expect: int, **content: Any) -> Any:
        url = address if address.startswith("http") else f"{self.url}{address}"
        answer = self.http.request(method, url, **content)
        assert answer.status_code == expect, (address, answer.status_code, answer.text)
        if answer.is_error:
            self.errors += repr(answer.headers).encode() + answer.content
        return answer

    def post(self, address: str, expect: int = 200, **content: Any) -> Any:
        return self.ask("POST", address, expect, **content).json()

    def keep(self, name: str, value: str) -> str:
        """Keep a secret; of a token also its signature and its name."""
        self.secrets[name] = value.encode()
        if value.count(".") == 2:
            self.secrets[f"{name}'s signature"] = value.rpartition(".")[2].encode()
            self.secrets[f"{name}'s jti"] = claims_of(value)["jti"].encode()
        return value

    def keep_pair(self, name: str, answer: dict[str, str]) -> tuple[str, str]:
        access, refresh = answer["access"], answer["refresh"]
        return self.keep(f"{name} access", access), self.keep(f"{name} refresh", refresh)

    def sign_in(self, name: str, **wanted: str) -> tuple[str, str]:
        body = {"username": USERNAME, "password": PASSWORD, **wanted}
        return self.keep_pair(name, self.post("/api/v1/auth/token", json=body))

    def places(self) -> dict[str, bytes]:
        """Return what the processes wrote and answered, but for the authority's database."""
        return {
            "errors": self.errors,
            "bank": read_together(self.folder / "savings.sqlite3"),
            **{f"{name}'s log": path.read_bytes() for name, path in self.logs.items()},
        }


def people_come_and_go(play: Play) -> None:
    play.keep("password", PASSWORD)
    play.keep("wrong password", WRONG_PASSWORD)
    person = {"username": USERNAME, "email": "alice@example.org", "password": PASSWORD}
    play.post("/api/v1/auth/register", 201, json=person)
    play.post("/api/v1/auth/register", 201, json=person)  # only the mailbox learns of it
    User.objects.get().groups.add(Group.objects.get_or_create(name=mandates.META_SCOPE)[0])
    for wrong in ({"password": WRONG_PASSWORD}, {"username": PASSWORD}):
        play.post("/api/v1/auth/token", 401, json=person | wrong)
    play.post("/api/v1/auth/token", 400, **broken(person))
    form = play.post("/token", data={"username": USERNAME, "password": PASSWORD})
    play.keep("form access", form["access_token"])
    play.keep("form refresh", form["refresh_token"])
    a_refresh_token_is_replayed(play)


def a_refresh_token_is_replayed(play: Play) -> None:
    access, first = play.sign_in("first")
    play.ask("GET", "/api/v1/me", 200, headers=bearer(access))
    play.ask("GET", f"/api/v1/me?access_token={access}", 401)
    play.ask("GET", "/api/v1/me", 401, headers=bearer(f"{access[:-4]}AAAA"))
    play.ask("GET", "/api/v1/me", 401, headers=bearer(first))
    _, second = play.keep_pair("second", refresh(play, first))
    play.keep_pair("third", refresh(play, second))
    play.post("/api/v1/auth/token/refresh", 401, json={"refresh": first})


def refresh(play: Play, token: str) -> Any:
    return play.post("/api/v1/auth/token/refresh", json={"refresh": token})


def machines_show_their_secrets(play: Play) -> None:
    gateway = play.example.gateway
    wrong = play.keep("wrong client secret", generate_api_key().text)
    access, _ = play.sign_in("introspected")
    for secret, expect in ((gateway.secret, 200), (wrong, 401)):
        play.post(
            "/oauth/introspect", expect, auth=(gateway.client_id, secret), data={"token": access}
        )
        form = {"grant_type": "client_credentials", "client_id": gateway.client_id}
        answer = play.post("/oauth/token", expect, data=form | {"client_secret": secret})
        if expect == 200:
            play.keep("client's access", answer["access_token"])
    client = ServiceClient.objects.get(client_id=play.example.executor.client_id)
    key = play.keep("API key", create_api_key(owner=client, name="another").text)
    for text, expect in ((key, 404), (wrong, 401), (f"{key[:-1]}!", 401)):
        play.ask("GET", "/api/v1/redemptions/rdm_none", expect, headers={"X-API-Key": text})
    play.keep("API key's secret part", key[20:])


def a_mandate_is_issued_and_runs(play: Play) -> None:
    """One through the gateway, as people do; one by hand, for the sake of its token."""
    wanted = {"scope": mandates.META_SCOPE, "resource": play.example.trigger_audience}
    access, _ = play.sign_in("gateway's", **wanted)
    job = {"operation": mandates.OPERATION, "constraints": mandates.constraints(**due_now(3))}
    gateway = f"{play.example.url}/gateway/savings"
    play.post(gateway, 201, json=job, headers=bearer(access))
    play.post(gateway, 401, json=job, headers=bearer(f"{access[:-4]}AAAA"))
    eventually(lambda: not QueuedRun.objects.exclude(state=RunState.DONE).exists())
    for run in QueuedRun.objects.all():
        play.keep("queued operation token", insiders.open_job(run).operation_token)


def exchange(play: Play) -> str:
    """Buy an operation token as the trigger, try to buy it twice, and queue it."""
    wanted = {"scope": mandates.META_SCOPE, "resource": play.example.trigger_audience}
    access, _ = play.sign_in("exchanged", **wanted)
    form = {
        "grant_type": EXCHANGE,
        "subject_token": access,
        "subject_token_type": ACCESS_TOKEN,
        "audience": f"{play.example.url}/",
        "scope": "savings.deposit",
        "authorization_details": details(**due_now()),
    }
    trigger = pair(play.example.trigger)
    key = {"Idempotency-Key": "once"}
    answer = play.post("/oauth/token", auth=trigger, data=form, headers=key)
    again = play.post("/oauth/token", auth=trigger, data=form, headers=key)
    assert again | {"expires_in": 0} == answer | {"expires_in": 0}  # it counts the seconds left
    play.post("/oauth/token", 400, auth=trigger, data=form)
    return play.keep("operation token", answer["access_token"])


def tokens_are_misused(play: Play) -> None:
    token = exchange(play)
    trigger, executor = pair(play.example.trigger), pair(play.example.executor)
    forged = play.keep("altered token", insiders.alter(token))
    edited = {"operation_token": token, "operation": insiders.EDITED}
    play.ask("GET", "/api/v1/me", 401, headers=bearer(token))
    play.post("/api/v1/auth/token/refresh", 401, json={"refresh": token})
    play.post(
        "/oauth/token", 400, auth=trigger, data={"grant_type": EXCHANGE, "subject_token": token}
    )
    play.post("/api/v1/queue", 403, auth=trigger, json=edited)
    play.post("/api/v1/queue", 400, auth=trigger, json={"operation_token": token})
    redemptions = "/api/v1/redemptions"
    key = {"Idempotency-Key": "misused"}
    play.post(redemptions, 403, auth=executor, json=edited, headers=key)
    play.post(
        redemptions, 403, auth=executor, json=edited | {"operation_token": forged}, headers=key
    )
    play.post(redemptions, 400, auth=executor, **broken(edited))
    play.post(redemptions, 400, auth=executor, json={"operation_token": [token]}, headers=key)
    play.post(redemptions, 403, auth=trigger, json=edited, headers=key)
    play.post(f"{play.example.url}/gateway/savings", 401, json={}, headers=bearer(token))
    deliveries_are_refused(play, token, forged)


def deliveries_are_refused(play: Play, token: str, forged: str) -> None:
    url, webhook_id = f"{play.example.url}/executor/deliveries", "op_1.o0"
    for job, secret in (
        (insiders.Job(token, insiders.EDITED), play.example.delivery_secret),
        (insiders.Job(forged, insiders.EDITED), play.example.delivery_secret),
        (insiders.Job(token, mandates.OPERATION), "whsec_Zm9yZ2Vk"),
    ):
        answer = insiders.deliver(url, job, secret=secret, webhook_id=webhook_id, occurrence="o0")
        assert answer.is_client_error
        play.errors += answer.content


def installation_secrets(example: Example) -> dict[str, bytes]:
    """Return what nobody sends: the keys behind everything, and the clients' credentials."""
    now = datetime.now(UTC)
    ring = current_key_ring()
    private = {
        f"private {purpose} key": _private_part(ring.signing_key(purpose, now).kid)
        for purpose in Purpose
    }
    clients = (example.gateway, example.trigger, example.executor)
    return {
        **private,
        **{f"{client.client_id}'s secret": client.secret.encode() for client in clients},
        **{f"encryption key {n}": key for n, key in enumerate(settings.FIELD_ENCRYPTION_KEYS)},
        "SECRET_KEY": settings.SECRET_KEY.encode(),
        "delivery secret": example.delivery_secret.encode(),
        "delivery key": base64.b64decode(example.delivery_secret.removeprefix("whsec_")),
    }


def _private_part(kid: str) -> bytes:
    row = SigningKey.objects.get(kid=kid)
    jwk = json.loads(open_sealed(row.private_sealed, context=row.seal_context()))
    return b64url_decode(str(jwk["d"]))


def broken(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request whose JSON ends early."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": "broken"}
    return {"content": json.dumps(body)[:-1], "headers": headers}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def pair(credentials: Credentials) -> tuple[str, str]:
    return credentials.client_id, credentials.secret


def example_environment(
    example: Example, *, authority: str, port: int, folder: Path
) -> dict[str, str]:
    roles = {
        "GATEWAY": example.gateway,
        "TRIGGER": example.trigger,
        "EXECUTOR": example.executor,
    }
    return {
        "AUTHORITY_URL": authority,
        "ISSUER_URL": settings.ISSUER_URL,
        "PUBLIC_URL": example.url,
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "DELIVERY_SECRET": example.delivery_secret,
        **{f"{role}_CLIENT_ID": each.client_id for role, each in roles.items()},
        **{f"{role}_CLIENT_SECRET": each.secret for role, each in roles.items()},
    }
