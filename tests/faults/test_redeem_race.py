"""I1 under real concurrency: 64 threads against 4 server processes want one slot, 200 rounds."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from django.conf import settings

from batchtokens.models import LedgerEntry, OperationToken, Redemption
from batchtokens.services.ledger.verify_ledger import verify_ledger
from tests import mandates
from tests.servers import running_server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

THREADS, ROUNDS, PROCESSES = 64, 200, 4
KEYS = 8  # so that some of the racers are retries of each other


def test_one_slot_is_redeemed_once_whoever_comes_first() -> None:
    world = mandates.savings()
    tokens = [mandates.issue(world).token for _ in range(ROUNDS)]
    barrier = Barrier(THREADS)

    def race(thread: int) -> list[httpx.Response]:
        with httpx.Client(base_url=server.url, auth=credentials, timeout=60) as http:
            return [
                redeem(http, token, f"{round_}-{thread % KEYS}", barrier)
                for round_, token in enumerate(tokens)
            ]

    credentials = (world.executor.client.client_id, world.executor.secret)
    issuer = {"ISSUER_URL": settings.ISSUER_URL}
    with running_server(issuer, workers=PROCESSES) as server, ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(race, range(THREADS)))

    for round_ in range(ROUNDS):
        check_round([answer[round_] for answer in answers])
    assert Redemption.objects.filter(status="reserved").count() == ROUNDS
    assert OperationToken.objects.filter(taken_count=1).count() == ROUNDS
    assert LedgerEntry.objects.filter(kind="reserved").count() == ROUNDS
    assert [findings for _, findings in verify_ledger() if findings] == []


def redeem(http: httpx.Client, token: str, key: str, barrier: Barrier) -> httpx.Response:
    barrier.wait(timeout=120)
    body = {"operation_token": token, "operation": mandates.OPERATION}
    return http.post("/api/v1/redemptions", json=body, headers={"Idempotency-Key": key})


def check_round(answers: list[httpx.Response]) -> None:
    """Exactly one 201; the rest are refused, or are retries that see the same receipt."""
    counts = Counter(answer.status_code for answer in answers)
    assert counts[201] == 1, counts
    assert set(counts) <= {200, 201, 409}, counts
    bodies: list[Any] = [answer.json() for answer in answers]
    assert len({body["receipt"] for body in bodies if "receipt" in body}) == 1
    assert len({body["redemption_id"] for body in bodies}) == 1
    assert {body["code"] for body in bodies if "code" in body} <= {"slot_already_redeemed"}
    assert counts[200] == THREADS // KEYS - 1, counts
