"""Four server processes race for the last of an executor's caps: none is passed, one breaker trips.

What is redeemed is settled at once: that goes on, whoever stopped the executor.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import cycle
from threading import Barrier
from typing import Any

import httpx
import pytest
from django.conf import settings

from accounts.models import SecurityEvent
from batchtokens.models import ExecutorControl, ExecutorUse, LedgerEntry, Redemption
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.redemption.set_caps import Caps, set_caps
from tests import mandates
from tests.batches import BATCH, NDJSON
from tests.rest import REDEMPTIONS
from tests.servers import running_server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

RACERS, EACH, PROCESSES = 12, 4, 4
# Less than a third of what is asked for: a minute may end during the race, but no two.
COUNT, SUM = 14, 40_000
AMOUNTS = (1000, 2000, 5000)
EXPECTED = {(201, ""), (200, ""), (403, "executor_stopped")}
Body = dict[str, Any]
Verdict = tuple[int, str]


def bodies(world: mandates.Savings) -> list[list[Body]]:
    """Return each racer's requests: runs of different mandates, of different amounts."""
    minors = cycle(AMOUNTS)
    return [[body(world, next(minors), f"{n}-{k}") for k in range(EACH)] for n in range(RACERS)]


def body(world: mandates.Savings, minor: int, key: str) -> Body:
    amount = {"amount": f"{minor / 100:.2f}", "currency": "USD"}
    operation = mandates.OPERATION | {"amount": amount}
    token = mandates.issue(world, operation=operation).token
    return {"idempotency_key": key, "operation_token": token, "operation": operation}


def one_by_one(http: httpx.Client, own: list[Body]) -> Iterable[tuple[int, Body]]:
    """Redeem each by itself, and ask once more, as whoever got no answer does."""
    for each in own * 2:
        asked = {name: value for name, value in each.items() if name != "idempotency_key"}
        headers = {"Idempotency-Key": each["idempotency_key"]}
        answer = http.post(REDEMPTIONS, json=asked, headers=headers)
        yield answer.status_code, answer.json()


def in_a_batch(http: httpx.Client, own: list[Body]) -> Iterable[tuple[int, Body]]:
    content = "\n".join(json.dumps(each) for each in own)
    answer = http.post(BATCH, content=content, headers={"Content-Type": NDJSON})
    assert answer.status_code == 200, answer.text
    for line in answer.text.splitlines():
        yield json.loads(line)["http_status"], json.loads(line)


def settled(http: httpx.Client, told: Body) -> Verdict:
    closing = {"attempt": told["attempt"]}
    answer = http.post(f"{REDEMPTIONS}/{told['redemption_id']}/settle", json=closing)
    return answer.status_code, answer.json().get("code", "")


def race(world: mandates.Savings) -> Counter[Verdict]:
    barrier = Barrier(RACERS)

    def run(number: int) -> list[Verdict]:
        ask = in_a_batch if number % 3 == 0 else one_by_one
        with httpx.Client(base_url=server.url, auth=credentials, timeout=60) as http:
            barrier.wait(timeout=60)
            verdicts = []
            for status, told in ask(http, shares[number]):
                verdicts.append((status, told.get("code", "")))
                if status == httpx.codes.CREATED:
                    verdicts.append(settled(http, told))
            return verdicts

    shares = bodies(world)
    credentials = (world.executor.client.client_id, world.executor.secret)
    issuer = {"ISSUER_URL": settings.ISSUER_URL}
    with running_server(issuer, workers=PROCESSES) as server, ThreadPoolExecutor(RACERS) as pool:
        return Counter(verdict for own in pool.map(run, range(RACERS)) for verdict in own)


def start_of(period: str, at: datetime) -> datetime:
    start = at.replace(second=0, microsecond=0)
    return start if period == "minute" else start.replace(hour=0, minute=0)


@pytest.mark.parametrize(
    ("period", "what", "caps"),
    [
        ("minute", "count", Caps(max_count_minute=COUNT)),
        ("day", "count", Caps(max_count_day=COUNT)),
        ("minute", "minor", Caps(max_minor_minute=SUM, currency="USD")),
        ("day", "minor", Caps(max_minor_day=SUM, currency="USD")),
    ],
    ids=["count a minute", "count a day", "sum a minute", "sum a day"],
)
def test_no_cap_is_passed(period: str, what: str, caps: Caps) -> None:
    world = mandates.savings(max_live_mandates=RACERS * EACH)
    set_caps(executor=world.redeemer, caps=caps, reason="test")

    verdicts = race(world)

    assert set(verdicts) == EXPECTED, verdicts
    taken = Counter[datetime]()
    for each in Redemption.objects.all():
        assert each.status == "settled"
        taken[start_of(period, each.reserved_at)] += 1 if what == "count" else each.amount_minor
    cap, largest = (COUNT, 1) if what == "count" else (SUM, max(AMOUNTS))
    assert cap - largest < max(taken.values()) <= cap
    assert taken == dict(ExecutorUse.objects.values_list("starts_at", what))
    assert verdicts[201, ""] == Redemption.objects.count()
    check_one_stop()


def check_one_stop() -> None:
    assert ExecutorControl.objects.get().stopped_by == "breaker"
    assert LedgerEntry.objects.filter(kind="executor_stopped").count() == 1
    assert SecurityEvent.objects.filter(code="executor_stopped", data__by="breaker").count() == 1
    assert [findings for _, findings in verify_ledger() if findings] == []
