"""Keys are rotated while people and executors are at work: no valid token is refused, anywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
CACHED = 5.0  # seconds that verifiers keep the key set
OVERLAP = timedelta(seconds=8)  # longer than both, as KEY_PUBLISH_AHEAD is
WORKERS, CLIENTS = 2, 3
AT_WORK = RING_TTL + 4.0  # seconds until every process has signed with a key that is active


@pytest.fixture
def server() -> Iterator[Server]:
    ensure_signing_keys()
    env = {"RATE_LIMITS": "off", "KEY_RING_TTL": str(RING_TTL), "ISSUER_URL": settings.ISSUER_URL}
    with running_server(env, workers=WORKERS, port=free_port()) as started:
        yield started


class Verifiers:
    """The key set as everybody has it in their cache; it is read only when it is told to be."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.read()

    def read(self) -> None:
        answer = httpx.get(f"{self.url}/.well-known/jwks.json", timeout=30)
        self.keys = KeySet.from_jwks(answer.json())


class Client(threading.Thread):
    """Refreshes, shows each new token at another process, and verifies it offline, all the time."""

    def __init__(self, verifiers: Verifiers, refresh: str) -> None:
        super().__init__(daemon=True)
        self.verifiers, self.url, self.refresh = verifiers, verifiers.url, refresh
        self.kids: set[str] = set()
        self.refusals: list[str] = []
        self.rounds = 0
        self.over = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self.over.is_set():
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
        keys = self.verifiers.keys
        if header_of(access)["kid"] not in keys.by_kid:
            self.refusals.append("offline: a key that is in nobody's cache")
            return
        verify_jws(access, keys=keys, purpose=Purpose.ACCESS, typ="at+jwt")


@contextmanager
def at_work(verifiers: Verifiers) -> Iterator[list[Client]]:
    """Let the clients work while the block lasts."""
    people = [factories.user(f"person{n}") for n in range(CLIENTS)]
    clients = [Client(verifiers, factories.session_family(each)[1].refresh) for each in people]
    for client in clients:
        client.start()
    try:
        time.sleep(1)
        yield clients
    finally:
        for client in clients:
            client.over.set()
        for client in clients:
            client.join(timeout=60)


def rotate(verifiers: Verifiers, overlap: timedelta) -> None:
    """Rotate under caches that are as old as they may be in the instant of the first signature."""
    published = overlap.total_seconds() - CACHED
    if published < 0:
        verifiers.read()
    rotate_signing_keys(overlap=overlap, purposes=[Purpose.ACCESS, Purpose.REFRESH])
    if published >= 0:
        time.sleep(published)
        verifiers.read()
        time.sleep(CACHED)
    time.sleep(AT_WORK)


def test_no_valid_token_is_refused_while_keys_are_rotated(server: Server) -> None:
    verifiers = Verifiers(server.url)
    with at_work(verifiers) as clients:
        for _ in range(2):
            rotate(verifiers, OVERLAP)

    assert [refusal for client in clients for refusal in client.refusals] == []
    assert all(client.rounds > 3 for client in clients)
    assert len(set().union(*(client.kids for client in clients))) == 3


def test_without_an_overlap_valid_tokens_are_refused(server: Server) -> None:
    """Or the test above would prove nothing."""
    verifiers = Verifiers(server.url)
    with at_work(verifiers) as clients:
        rotate(verifiers, timedelta(0))

    refusals = [refusal for client in clients for refusal in client.refusals]
    assert "offline: a key that is in nobody's cache" in refusals
