"""The executor's clients against the real authority: one by one, and many in one call."""

import asyncio
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens_verifier.async_client import AsyncExecutorClient
from batchtokens_verifier.client import ExecutorClient, Redemption, RedemptionRequest
from batchtokens_verifier.errors import ProblemError
from tests import mandates

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
EDITED = mandates.OPERATION | {"creditor_account": "sav-6666"}
Answers = list[Redemption | ProblemError]


@pytest.fixture
def world(issuer: str) -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


def ask_in_threads(issuer: str, world: mandates.Savings, asked: Any) -> tuple[Answers, str]:
    with ExecutorClient(issuer, world.redeemer.client_id, world.executor.secret) as client:
        answers = client.redeem_batch(asked)
        first: Any = answers[0]
        client.settle(first.redemption_id, attempt=1, reference="r")
        return answers, client.find(first.redemption_id).status


def ask_in_a_loop(issuer: str, world: mandates.Savings, asked: Any) -> tuple[Answers, str]:
    async def ask() -> tuple[Answers, str]:
        parties = (issuer, world.redeemer.client_id, world.executor.secret)
        async with AsyncExecutorClient(*parties) as client:
            answers = await client.redeem_batch(asked)
            first: Any = answers[0]
            await client.settle(first.redemption_id, attempt=1, reference="r")
            return answers, (await client.find(first.redemption_id)).status

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_in_threads, ask_in_a_loop])
def test_each_line_of_a_batch_gets_its_own_answer(
    issuer: str, world: mandates.Savings, ask: Any
) -> None:
    tokens = [mandates.issue(world).token for _ in range(3)]
    asked = [
        RedemptionRequest(tokens[0], mandates.OPERATION, "key-0"),
        RedemptionRequest(tokens[1], EDITED, "key-1"),
        RedemptionRequest(tokens[2], mandates.OPERATION, "key-2"),
        RedemptionRequest(tokens[2], mandates.OPERATION, "key-3"),
        RedemptionRequest("no.token.atall", mandates.OPERATION, "key-4"),
    ]

    answers, status = ask(issuer, world, asked)

    kinds = [getattr(answer, "code", "redeemed") for answer in answers]
    assert kinds == [
        "redeemed",
        "operation_mismatch",
        "redeemed",
        "slot_already_redeemed",
        "operation_token_not_valid",
    ]
    assert (answers[0].proceed, status) == (True, "settled")
    assert answers[3].redemption_id == answers[2].redemption_id
