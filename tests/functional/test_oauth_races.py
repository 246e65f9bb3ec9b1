"""One subject token under eight threads at the same instant (I13)."""

from collections.abc import Callable
from typing import Any

import pytest

from batchtokens.models import LedgerEntry, OperationToken
from tests import mandates
from tests.oauth import exchange_form, refusal, send
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

THREADS = 8


def exchanges(world: mandates.Savings, *keys: str) -> list[Callable[[], Any]]:
    """Return the same exchange once for each key ("": none)."""
    form = exchange_form(mandates.exchange_request(world))

    def exchange(key: str) -> Callable[[], Any]:
        headers = {"Idempotency-Key": key} if key else {}
        return lambda: send(form, by=world.trigger, headers=headers)

    return [exchange(key) for key in keys]


@pytest.mark.parametrize("named", [False, True], ids=["no key", "a key each"])
def test_one_of_eight_buys(named: bool) -> None:
    keys = [f"key-{number}" if named else "" for number in range(THREADS)]

    answers = at_once(*exchanges(mandates.savings(), *keys))

    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == THREADS - 1
    assert {refusal(answer) for answer in refused} == {"invalid_request"}
    assert OperationToken.objects.count() == LedgerEntry.objects.of_operations().count() == 1


def test_all_of_one_key_get_the_same_token() -> None:
    answers = at_once(*exchanges(mandates.savings(), *["key"] * THREADS))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 1
    assert OperationToken.objects.count() == LedgerEntry.objects.of_operations().count() == 1


def test_one_of_eight_fits_under_a_cap() -> None:
    world = mandates.savings(max_live_mandates=1)
    calls = [exchanges(world, "")[0] for _ in range(THREADS)]

    answers = at_once(*calls)

    refused = [refusal(answer) for answer in answers if answer.status_code != 200]
    assert refused == ["invalid_authorization_details"] * (THREADS - 1)
    assert OperationToken.objects.count() == 1
