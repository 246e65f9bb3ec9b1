"""What may still be written into a restored older database: what stops, never what decides (I2).

The lost part may hold the release of what would be settled, the issue that took a place, the
delivery that would be made again.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.management.base import Refused
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.errors import LedgerBehind
from batchtokens.models import HoldKind, LedgerEntry, OperationType, QueuedRun
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.issuing.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.disown import disown_operations
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.queue.dispatch import claim_runs
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.errors import ProblemError
from tests import ledgers, mandates
from tests.copies import copied

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "kept-key"


@dataclass
class Past:
    """A world whose database was put back, and what is known of both sides of the copy."""

    world: mandates.Savings
    known: Issued
    first: Any
    lost: Any
    request: ExchangeRequest
    folder: Path


@pytest.fixture
def past(settings: Any, tmp_path: Path) -> Iterator[Past]:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.savings(consent="scope")
    request = replace(mandates.exchange_request(world), idempotency_key=KEY)
    known = exchange_access_token(by=world.trigger.client, request=request)
    first = mandates.redeem(world, known, "first")
    enqueue_operation_token(
        by=world.trigger.client, token=known.token, operation=mandates.OPERATION
    )
    Sealing().look()
    with copied(tmp_path) as put_back:
        release_redemption(by=world.redeemer, closing=Closing(first.redemption.pk, 1))
        other = ledgers.issue_daily(world)
        lost = mandates.redeem(world, other, "lost")
        Sealing().look()
        put_back()
        forget_sink()
        forget_key_ring()
        yield Past(world, known, first, lost, request, tmp_path)


def settle(past: Past) -> object:
    """Its release is lost: both exclude each other for ever."""
    return settle_redemption(by=past.world.redeemer, closing=Closing(past.first.redemption.pk, 1))


def settle_what_is_lost(past: Past) -> object:
    """It is not unknown for good."""
    return settle_redemption(by=past.world.redeemer, closing=Closing(past.lost.redemption.pk, 1))


def release(past: Past) -> object:
    return release_redemption(by=past.world.redeemer, closing=Closing(past.first.redemption.pk, 1))


def exchange(past: Past) -> object:
    return mandates.issue(past.world)


def exchange_for_an_unknown_type(past: Past) -> object:
    request = mandates.exchange_request(past.world)
    details = {**request.details, "type": "savings.lately"}
    return exchange_access_token(
        by=past.world.trigger.client, request=replace(request, details=details)
    )


def create(past: Past) -> object:
    request = OperationRequest("savings.deposit", mandates.OPERATION, mandates.constraints())
    return create_operation(by=mandates.grant_of(past.world.alice), request=request)


def issue_in_bulk(past: Past) -> object:
    line = {
        "user": past.world.alice.username,
        "type": "savings.deposit",
        "operation": mandates.OPERATION,
        "constraints": mandates.constraints(),
    }
    file = past.folder / "mandates.ndjson"
    file.write_text(json.dumps(line))
    out = StringIO()
    return call_command("operations", "issue", "--from", str(file), "--queue", stdout=out)


def deliver(past: Past) -> object:
    return claim_runs(owner="worker", limit=1)


DECISIONS = [
    settle,
    settle_what_is_lost,
    release,
    exchange,
    exchange_for_an_unknown_type,
    create,
    issue_in_bulk,
    deliver,
]


def test_nothing_is_decided(past: Past) -> None:
    before = LedgerEntry.objects.count(), list(QueuedRun.objects.values())

    assert [decide.__name__ for decide in DECISIONS if not is_behind(past, decide)] == []
    assert (LedgerEntry.objects.count(), list(QueuedRun.objects.values())) == before


def is_behind(past: Past, decide: Callable[[Past], object]) -> bool:
    try:
        decide(past)
    except LedgerBehind:
        return True
    except (ProblemError, Refused) as other:
        return isinstance(other.__cause__, LedgerBehind)
    return False


def test_a_repeated_exchange_gets_no_token_that_may_be_disowned(past: Past) -> None:
    with pytest.raises(LedgerBehind):
        exchange_access_token(by=past.world.trigger.client, request=past.request)


def hold(past: Past) -> object:
    return hold_operation(operation_id=past.known.row.pk, by=HoldKind.USER)


def cancel(past: Past) -> object:
    return cancel_operation(operation_id=past.known.row.pk, by=HoldKind.USER)


def lower(past: Past) -> object:
    return lower_limits(operation_id=past.known.row.pk, limits=Limits(max_occurrences=1))


def disown(past: Past) -> object:
    return disown_operations(kid=past.known.row.kid, reason="found out")


def test_what_stops_is_recorded(past: Past) -> None:
    before = LedgerEntry.objects.of_operations().count()

    for stop in (lower, hold, disown, cancel):
        stop(past)

    assert LedgerEntry.objects.of_operations().count() == before + 4


def test_what_was_disowned_meanwhile_is_not_signed_anew(past: Past) -> None:
    disown(past)

    with pytest.raises(LedgerBehind):
        list(reissue_operations(among=reissuable(), reason="with a new key"))


def test_a_consent_may_be_asked_for_but_buys_nothing(past: Past) -> None:
    world = replace(past.world, kind=_exact())
    shown = mandates.consent(world)

    with pytest.raises(LedgerBehind):
        mandates.issue(world, consent_id=shown.public_id)


def _exact() -> OperationType:
    return create_operation_type(definition=mandates.savings_definition(consent="exact"))
