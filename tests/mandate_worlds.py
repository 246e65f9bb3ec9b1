"""A world of mandates for a machine: the services on one side, the model in memory on the other.

Every world has a database, a sink and a clock of its own, and ends as if it had never been.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.db import connection, transaction
from django.test import override_settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)

from accounts.tokens.keyring import current_key_ring, forget_key_ring
from batchtokens.models import (
    Consent,
    LedgerEntry,
    OperationToken,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.models.clock import database_now
from batchtokens.services.check_ledger_head import forget_sink
from batchtokens.services.issue import Issued
from batchtokens.services.redeem import RedemptionRequest, redeem_operation_token
from batchtokens.services.seal import Sealing
from batchtokens.services.verify_ledger import verify_ledger
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import IdempotencyMismatch, ProblemError
from batchtokens_verifier.policy import ExecutorPolicy, verify_operation_token
from batchtokens_verifier.receipts import verify_receipt
from tests import mandates
from tests.mandate_model import Answer, Mandate, Refusal, Request, cents

MOST_MANDATES = 4
DAY = {"period_alignment": "calendar", "time_zone": "Europe/Berlin", "period_type": "day"}
WEEK = {"period_alignment": "consent", "time_zone": "UTC", "period_type": "week"}


def usd(minor: int) -> dict[str, str]:
    return {"amount": f"{minor // 100}.{minor % 100:02}", "currency": "USD"}


# Constraints without their validity, and whether the operation has an amount.
SHAPES: dict[str, tuple[dict[str, Any], bool]] = {
    "one a day, three in all": (
        {"periodic_limits": [DAY | usd(5000) | {"max_count": 1}], "max_total": usd(15000)},
        True,
    ),
    "variable, three a day, four a week": (
        {
            "max_individual_amount": usd(6000),
            "periodic_limits": [DAY | usd(10000) | {"max_count": 3}, WEEK | {"max_count": 4}],
            "max_total": usd(25000),
        },
        False,
    ),
    "scheduled, windows that overlap": (
        {"schedule": "FREQ=DAILY;COUNT=4", "due_window": "PT36H", "max_total": usd(15000)},
        True,
    ),
    "two in its life": ({"max_occurrences": 2}, True),
}


class Crashed(Exception):
    """What the end of a process looks like from inside: nothing of its transaction is kept."""


@contextmanager
def crash_after(statements: int) -> Iterator[None]:
    """Crash once so many statements were sent; 0 never does."""
    sent = 0

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal sent
        result = execute(sql, params, many, context)
        sent += not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))
        if sent == statements:
            TOLD["crash"] += 1
            raise Crashed
        return result

    with connection.execute_wrapper(count):
        yield


def forget_all() -> None:
    """Forget what a process remembers of another world."""
    forget_key_ring()
    forget_sink()


def undone_after_a_crash() -> transaction.Atomic:
    """Return a block in which services may open their own transactions, as outermost ones."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined] # as Django marks its own tests'
    return block


TOLD: Counter[str] = Counter()  # how often each thing came about, to be printed with the seed


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a service returns, or the class of its refusal."""
    try:
        found = call()
    except ProblemError as refusal:
        found = type(refusal)
    TOLD[found.__name__ if isinstance(found, type) else type(found).__name__] += 1
    return found


class MandatesWorld(RuleBasedStateMachine):
    """Alice, a trigger, an executor, up to four mandates, and all that must hold of them."""

    world: mandates.Savings

    def __init__(self) -> None:
        super().__init__()
        # All of a world is undone at its end, as pytest-django does with a test's.
        self.world_of_its_own = undone_after_a_crash()
        self.world_of_its_own.__enter__()
        self.folder = tempfile.TemporaryDirectory()
        self.sink = override_settings(LEDGER_SINK=Path(self.folder.name) / "checkpoints")
        self.sink.enable()
        forget_all()
        self.clock = database_now().replace(second=0, microsecond=0) + timedelta(hours=1)
        self.mandates: list[Mandate] = []
        self.issued: list[Issued] = []
        self.answers: dict[str, tuple[Request, Answer, str]] = {}  # by key, with the receipt
        self.amounts: dict[str, int] = {}  # by redemption id
        self.last: dict[int, datetime] = {}
        self.consents: list[tuple[Consent, dict[str, Any]]] = []
        self.off = False
        self.sealing = Sealing()
        self.sealed = 0

    def teardown(self) -> None:
        forget_all()
        self.sink.disable()
        self.folder.cleanup()
        transaction.set_rollback(True)
        self.world_of_its_own.__exit__(None, None, None)

    @property
    def lease(self) -> timedelta:
        lease: timedelta = django_settings.REDEMPTION_LEASE
        return lease

    def chosen(self, number: int) -> int:
        return number % len(self.mandates)

    def agree(self, expected: Refusal | None, call: Callable[[], Any]) -> None:
        """Check that the service refuses what the model refuses, and nothing else."""
        found = outcome(call)
        assert (found if isinstance(found, type) else None) == expected

    def survive(self, crash: int, call: Callable[[], Any]) -> Any:
        """Do it, and where it crashes at that statement, do it again."""
        try:
            with undone_after_a_crash(), crash_after(crash):
                return call()
        except Crashed:
            return call()

    def present(self, key: str, request: Request, crash: int) -> None:
        expected = self.expected(key, request)
        found = outcome(lambda: self.survive(crash, lambda: self.send(key, request)))
        if isinstance(expected, type):
            assert found is expected
            return
        told = Answer(found.redemption.slot, found.attempt.attempt, found.created, found.proceed)
        receipt = found.attempt.receipt
        if key in self.answers:
            assert told == Answer(expected.slot, expected.attempt, False, expected.proceed)
            assert receipt == self.answers[key][2]
            return
        assert told == expected
        self.check_receipt(receipt, found.redemption, told)
        self.answers[key] = (request, told, receipt)

    def expected(self, key: str, request: Request) -> Answer | Refusal:
        mandate = self.mandates[request.mandate]
        if key not in self.answers:
            return mandate.redeem(request, self.clock, off=self.off)
        former, answer, _ = self.answers[key]
        if former != request:
            return IdempotencyMismatch
        proceed = mandate.permits(answer.slot, answer.attempt, self.clock, off=self.off)
        return Answer(answer.slot, answer.attempt, created=False, proceed=proceed)

    def send(self, key: str, request: Request) -> Any:
        operation = self.issued[request.operation_of].row.details["operation"]
        amount = Amount(request.minor, "USD") if request.minor else None
        body = RedemptionRequest(
            self.issued[request.mandate].token, operation, amount, request.occurrence
        )
        return redeem_operation_token(
            by=self.world.redeemer, request=body, idempotency_key=key, now=self.clock
        )

    def check_receipt(self, receipt: str, redemption: Redemption, answer: Answer) -> None:
        proven = verify_receipt(
            receipt,
            keys=current_key_ring().verification_keys(),
            issuer=django_settings.ISSUER_URL,
            audience=self.world.redeemer.client_id,
        )
        assert (proven.slot, proven.attempt, proven.status) == (
            answer.slot,
            answer.attempt,
            "reserved",
        )
        assert proven.amount == redemption.amount
        assert LedgerEntry.objects.filter(hash=proven.entry_hash, seq=proven.seq).exists()
        # One amount for ever (I16).
        assert self.amounts.setdefault(redemption.pk, redemption.amount_minor) == (
            redemption.amount_minor
        )

    # What holds after each step

    @invariant()
    def every_promise_holds(self) -> None:
        self.the_server_tells_what_the_model_tells()
        self.the_ledger_verifies()
        self.every_answer_is_stored_as_it_was_given()
        self.limits_hold()
        self.the_offline_verifier_still_takes_the_tokens()

    def the_server_tells_what_the_model_tells(self) -> None:
        for number, (mandate, issued) in enumerate(zip(self.mandates, self.issued, strict=True)):
            row = OperationToken.objects.get(pk=issued.row.pk)
            counted = mandate.counted()
            assert (row.taken_count, row.taken_minor) == (
                len(counted),
                sum(taken.minor for taken in counted),
            )
            assert row.settled_count == mandate.settled()
            assert set(row.holds) == mandate.holds
            assert (row.cancelled_at is not None) == mandate.cancelled
            assert row.lowered == mandate.lowered
            stored = {
                each.slot: (each.status, each.attempt, each.amount_minor, each.releases)
                for each in row.redemptions.all()
            }
            assert stored == {
                slot: (taken.status, taken.attempt, taken.minor, taken.releases)
                for slot, taken in mandate.taken.items()
            }
            # Recorded instants never decrease (I8).
            assert row.last_at >= self.last.get(number, row.last_at)
            self.last[number] = row.last_at
            assert (row.consent_mode == "exact") == (row.consent_id is not None)

    def the_ledger_verifies(self) -> None:
        assert [finding for _, found in verify_ledger() for finding in found] == []

    def every_answer_is_stored_as_it_was_given(self) -> None:
        stored = dict(RedemptionAttempt.objects.values_list("idempotency_key", "receipt"))
        assert stored == {key: receipt for key, (_, _, receipt) in self.answers.items()}

    def limits_hold(self) -> None:
        for mandate in self.mandates:
            total = sum(taken.minor for taken in mandate.counted())
            assert total <= cents(mandate.constraints.get("max_total", usd(10**9)))
            assert len(mandate.counted()) <= mandate.capacity

    def the_offline_verifier_still_takes_the_tokens(self) -> None:
        """What it cannot know, holds and uses, changes nothing; old keys stay published (I9)."""
        for mandate, issued in zip(self.mandates[:1], self.issued[:1], strict=True):
            policy = ExecutorPolicy(
                django_settings.ISSUER_URL,
                mandates.EXECUTOR_AUDIENCE,
                frozenset({"savings.deposit"}),
            )
            verify_operation_token(
                issued.token,
                keys=current_key_ring().verification_keys(),
                policy=policy,
                now=mandate.valid_to - timedelta(seconds=1),
                operation=issued.row.details["operation"],
            )
