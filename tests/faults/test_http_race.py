"""I1 over HTTP: 64 clients want what 1,000 mandates allow, at four server processes at once.

About two minutes on two free cores.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import httpx
import pytest
from django.conf import settings
from django.db.models import F

from batchtokens.models import OperationToken, Redemption
from batchtokens.services.ledger.verify_ledger import verify_ledger
from tests import mandates
from tests.servers import running_server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

CLIENTS, TOKENS, ATTEMPTS, PROCESSES = 64, 1000, 20_000, 4
LARGEST, SMALLEST, TOTAL, PLACES = 7.00, 1.00, 30.00, 12
SEED = 20261122
VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}
EXPECTED = {
    (201, ""),
    (200, ""),
    (403, "limit_exceeded"),
    (409, "slot_already_redeemed"),
}
order = count()


@dataclass(frozen=True)
class Attempt:
    """One request; a quarter of them repeat an earlier key with its body."""

    token: str
    key: str
    amount: str


def usd(amount: float) -> dict[str, str]:
    return {"amount": f"{amount:.2f}", "currency": "USD"}


def issue(world: mandates.Savings) -> str:
    """Issue a mandate of at most 30 USD a day, in amounts of 1 to 7, in twelve places."""
    day = {
        "period_type": "day",
        "period_alignment": "consent",
        "time_zone": "UTC",
        "max_count": PLACES,
    }
    limits = {"max_individual_amount": usd(LARGEST), "max_total": usd(TOTAL)}
    return mandates.issue(
        world, operation=VARIABLE, periodic_limits=[day], valid_to=mandates.in_days(1), **limits
    ).token


def attempts_on(tokens: list[str]) -> list[Attempt]:
    """Draw the attempts, each token's as many, in an order that no two runs of clients share."""
    draw = random.Random(SEED)
    made = []
    for token in tokens:
        own: list[Attempt] = []
        for _ in range(ATTEMPTS // len(tokens)):
            again = own and draw.random() < 0.25
            amount = draw.choice([SMALLEST, 2.00, 3.00, 5.00, LARGEST])
            fresh = Attempt(token, f"key-{next(order)}", f"{amount:.2f}")
            own.append(draw.choice(own) if again else fresh)
        made += own
    draw.shuffle(made)
    return made


def test_nothing_is_redeemed_twice_and_no_total_is_passed() -> None:
    world = mandates.savings(max_live_mandates=TOKENS)
    tokens = [issue(world) for _ in range(TOKENS)]
    attempts = attempts_on(tokens)

    def work(own: list[Attempt]) -> list[tuple[Attempt, httpx.Response]]:
        with httpx.Client(base_url=server.url, auth=credentials, timeout=120) as http:
            return [(each, redeem(http, each)) for each in own]

    credentials = (world.executor.client.client_id, world.executor.secret)
    issuer = {"ISSUER_URL": settings.ISSUER_URL}
    with running_server(issuer, workers=PROCESSES) as server, ThreadPoolExecutor(CLIENTS) as pool:
        shares = [attempts[start::CLIENTS] for start in range(CLIENTS)]
        answers = [pair for share in pool.map(work, shares) for pair in share]

    assert len(answers) == ATTEMPTS
    seen = Counter((a.status_code, a.json().get("code", "")) for _, a in answers)
    assert set(seen) <= EXPECTED, seen
    check_receipts(answers)
    check_totals(answers)
    assert [findings for _, findings in verify_ledger() if findings] == []


def redeem(http: httpx.Client, attempt: Attempt) -> httpx.Response:
    amount = {"amount": attempt.amount, "currency": "USD"}
    body = {"operation_token": attempt.token, "operation": VARIABLE, "amount": amount}
    headers = {"Idempotency-Key": attempt.key}
    return http.post("/api/v1/redemptions", json=body, headers=headers)


def check_receipts(answers: Iterable[tuple[Attempt, httpx.Response]]) -> None:
    """Every slot was created once, and every key that was accepted got one receipt for ever."""
    accepted = [
        (attempt, answer.json(), answer) for attempt, answer in answers if answer.is_success
    ]
    created = Counter(body["redemption_id"] for _, body, a in accepted if a.status_code == 201)
    receipts = {(attempt.key, body["receipt"]) for attempt, body, _ in accepted}
    assert set(created.values()) == {1}
    assert len(receipts) == len({key for key, _ in receipts}) == len(created)
    assert Redemption.objects.count() == len(created)


def check_totals(answers: Iterable[tuple[Attempt, httpx.Response]]) -> None:
    """No total is passed; where one of the smallest was refused, less than that was left."""
    most, least = round(TOTAL * 100), round(SMALLEST * 100)
    assert not OperationToken.objects.filter(taken_minor__gt=F("max_total_minor")).exists()
    taken = dict(Redemption.objects.values_list("pk", "amount_minor"))
    sums = Counter[str]()
    seen = set()
    refused = set()
    for attempt, answer in answers:
        body = answer.json()
        if answer.is_success and body["redemption_id"] not in seen:
            seen.add(body["redemption_id"])
            sums[attempt.token] += taken[body["redemption_id"]]
        elif body.get("code") == "limit_exceeded" and attempt.amount == f"{SMALLEST:.2f}":
            refused.add(attempt.token)
    assert refused
    assert {token for token in refused if sums[token] <= most - least} == set()
