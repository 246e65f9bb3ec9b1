"""What a receipt says, member by member: of a reservation, a further attempt, and its end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from batchtokens.models import LedgerEntry
from batchtokens.models.ledger import instant
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.redemption.redeem import RedemptionAnswer
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.constraints import Amount
from tests import mandates
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db

VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}
AMOUNT = {"amount": "12.34", "currency": "USD"}
HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    cap = {"max_individual_amount": {"amount": "20.00", "currency": "USD"}}
    daily = {"schedule": "FREQ=DAILY;COUNT=3", "due_window": "PT3H", "periodic_limits": None}
    return mandates.issue(world, operation=VARIABLE, **cap, **daily)


@pytest.fixture
def second(world: mandates.Savings, issued: Issued) -> RedemptionAnswer:
    """The second attempt on the second day's run, an hour late; the first one is in doubt."""
    due = issued.row.valid_from + timedelta(days=1)
    redeem(world, issued, "run-1", at=due + HOUR / 2)
    return redeem(world, issued, "run-2", at=due + HOUR)


def redeem(world: mandates.Savings, issued: Issued, key: str, *, at: Any) -> RedemptionAnswer:
    amount = Amount.parse(AMOUNT, "")
    return mandates.redeem(world, issued, key, operation=VARIABLE, amount=amount, now=at)


def newest_entry(issued: Issued) -> LedgerEntry:
    return LedgerEntry.objects.filter(operation_token=issued.row).latest("seq")


def told(issued: Issued, *, status: str, seq: int, at: Any) -> dict[str, Any]:
    """Return a receipt's claims as DESIGN and docs/token-format.md have them."""
    entry = newest_entry(issued)
    assert entry.seq == seq
    return {
        "iss": settings.ISSUER_URL,
        "aud": "savings",
        "jti": redemption_id(issued.row.token_hash, "o1"),
        "iat": int(at.timestamp()),
        "status": status,
        "attempt": 2,
        "slot": "o1",
        "amount": AMOUNT,
        "parameter_digest": issued.row.parameter_digest,
        "token": issued.row.token_hash,
        "seq": seq,
        "entry_hash": entry.hash,
    }


def test_of_a_reservation(issued: Issued, second: RedemptionAnswer) -> None:
    receipt = second.attempt.receipt

    assert header_of(receipt)["typ"] == "receipt+jwt"
    assert claims_of(receipt) == told(issued, status="reserved", seq=3, at=second.at)


@pytest.mark.parametrize(
    ("close", "status"), [(settle_redemption, "settled"), (release_redemption, "released")]
)
def test_of_its_end(
    world: mandates.Savings, issued: Issued, second: RedemptionAnswer, close: Any, status: str
) -> None:
    at = second.at + HOUR

    closed = close(by=world.redeemer, closing=Closing(second.redemption.pk, 2, "tx-1"), now=at)

    assert claims_of(closed.closing_receipt) == told(issued, status=status, seq=4, at=at)
    data = json.loads(newest_entry(issued).entry)["data"]
    assert (data["attempt"], data["slot"], data["client"]) == (2, "o1", "savings")
    closed.refresh_from_db()
    assert claims_of(closed.closing_receipt) == told(issued, status=status, seq=4, at=at)


def test_the_entry_tells_what_the_receipt_does_not(
    issued: Issued, second: RedemptionAnswer
) -> None:
    """Above all in whose periods it counts: the day of its due time, however late it is."""
    entry = json.loads(newest_entry(issued).entry)

    assert entry["at"] == instant(second.at)
    assert entry["data"] == {
        "amount": AMOUNT,
        "attempt": 2,
        "client": "savings",
        "counts_at": instant(second.at - HOUR),
        "redemption": second.redemption.pk,
        "slot": "o1",
    }
