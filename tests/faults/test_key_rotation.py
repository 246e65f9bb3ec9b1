"""Keys are rotated while people and executors are at work: no valid token is refused, anywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from django.conf import settings

from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from batchtokens_verifier.jws import KeySet, Purpose, verify_jws
from tests import factories
from tests.ports import free_port
from tests.servers import Server, running_server
from tests.tokens import header_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.slow]
RING_TTL = 1  # second that each process trusts its copy of the keys
OVERLAP = timedelta(seconds=4)  # longer than that, as KEY_PUBLISH_AHEAD is longer than a minute
CACHED = 2.0  # seconds that verifiers keep the key set
WORKERS, CLIENTS, LASTS = 2, 3, 20.0


@pytest.fixture
def server() -> Iterator[Server]:
    ensure_signing_keys()
    env = {"RATE_LIMITS": "off", "KEY_RING_TTL": str(RING_TTL), "ISSUER_URL": settings.ISSUER_URL}
    with running_server(env, workers=WORKERS, port=free_port()) as started:
        yield started


class Client(threading.Thread):
    """Refreshes, shows each new token at another process, and verifies it offline, all the time."""

    def __init__(self, url: str, refresh: str, until: float) -> None:
        super().__init__(daemon=True)
        self.url, self.refresh, self.until = url, refresh, until
        self.kids: set[str] = set()
        self.refusals: list[str] = []
        self.rounds = 0
        self.keys = KeySet({})
        self.read_at = 0.0

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while time.monotonic() < self.until:
                if time.monotonic() - self.read_at > CACHED:
                    self.read_at = time.monotonic()
                    self.read_keys()
                self._round(http)

    def _round(self, http: httpx.Client) -> None:
        answer = http.post("/api/v1/auth/token/refresh", json={"refresh": self.refresh})
        if answer.status_code != httpx.codes.OK:
            self.refusals.append(f"refresh {answer.status_code} {answer.text}")
            return
        access, self.refresh = answer.json()["access"], answer.json()["refresh"]
        self.kids.add(header_of(access)["kid"])
        # A connection of its own, so that it may be another process.
        shown = httpx.get(f"{self.url}/api/v1/me", headers=factories.bearer(access), timeout=30)
        if shown.status_code != httpx.codes.OK:
            self.refusals.append(f"me {shown.status_code} {shown.text}")
        self._verify_offline(access)
        self.rounds += 1

    def _verify_offline(self, access: str) -> None:
        """Verify with the key set as it was published long before, as a cache would have it."""
        if header_of(access)["kid"] not in self.keys.by_kid:
            self.refusals.append("offline: a key that nobody could know yet")
            return
        verify_jws(access, keys=self.keys, purpose=Purpose.ACCESS, typ="at+jwt")

    def read_keys(self) -> None:
        """Read the key set, as verifiers do once in a while."""
        answer = httpx.get(f"{self.url}/.well-known/jwks.json", timeout=30)
        self.keys = KeySet.from_jwks(answer.json())


def test_no_valid_token_is_refused_while_keys_are_rotated(server: Server) -> None:
    pairs = [factories.session_family(factories.user(f"person{n}"))[1] for n in range(CLIENTS)]
    until = time.monotonic() + LASTS
    clients = [Client(server.url, pair.refresh, until) for pair in pairs]
    for client in clients:
        client.start()
    for _ in range(2):
        time.sleep(0.5)
        rotate_signing_keys(overlap=OVERLAP, purposes=[Purpose.ACCESS, Purpose.REFRESH])
        time.sleep(OVERLAP.total_seconds())
    for client in clients:
        client.join(timeout=60)

    assert [refusal for client in clients for refusal in client.refusals] == []
    assert all(client.rounds > 3 for client in clients)
    assert len(set().union(*(client.kids for client in clients))) == 3
