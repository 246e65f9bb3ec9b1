"""I13 over HTTP: eight clients refresh one token against four server processes, 100 rounds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from django.conf import settings

from accounts.models import EndReason, SessionFamily
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.servers import running_server
from tests.tokens import claims_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

CLIENTS, ROUNDS, PROCESSES = 8, 100, 4


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    ensure_signing_keys()  # without them no server is ready
    # One address asks more often in this test than any phone would.
    env = {"ISSUER_URL": settings.ISSUER_URL, "RATE_LIMITS": "off"}
    with (
        running_server(env, workers=PROCESSES) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        yield client


def refresh(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/api/v1/auth/token/refresh", json={"refresh": token})


def test_one_successor_a_round_and_a_replay_ends_the_family(http: httpx.Client) -> None:
    family, pair = factories.session_family(factories.alice())
    first = token = pair.refresh

    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS):
            answers = list(pool.map(partial(refresh, http), [token] * CLIENTS))
            assert {answer.status_code for answer in answers} == {200}
            successors = [answer.json()["refresh"] for answer in answers]
            assert len({claims_of(successor)["jti"] for successor in successors}) == 1
            token = successors[0]

    assert refresh(http, first).json()["code"] == "token_not_valid"
    assert SessionFamily.objects.get(pk=family.pk).end_reason == EndReason.REPLAY
    assert refresh(http, token).status_code == 401
