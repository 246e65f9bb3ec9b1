"""A world of mandates for a machine: the services on one side, the model in memory on the other.

Every world begins with an empty database, a sink of its own, and a clock that the database shows.
What services write is committed: a crash or a broken connection loses exactly what it would.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import override_settings
from hypothesis.stateful import RuleBasedStateMachine

from accounts.tokens.keyring import forget_key_ring
from batchtokens.models import Consent
from batchtokens.services.check_ledger_head import forget_sink
from batchtokens.services.issue import Issued
from batchtokens.services.redeem import RedemptionRequest, redeem_operation_token
from batchtokens.services.seal import Sealing
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import IdempotencyMismatch, LimitExceeded, ProblemError
from tests import factories, mandates
from tests.mandate_faults import LOST, Fault, reconnect, show
from tests.mandate_model import Mandate
from tests.mandate_words import Answer, Around, Refusal, Request

MOST_MANDATES = 6
DAY = {"period_alignment": "calendar", "time_zone": "Europe/Berlin", "period_type": "day"}
WEEK = {"period_alignment": "consent", "time_zone": "UTC", "period_type": "week"}
TOLD: Counter[str] = Counter()  # how often each thing came about


def usd(minor: int) -> dict[str, str]:
    return {"amount": f"{minor // 100}.{minor % 100:02}", "currency": "USD"}


# Constraints without their validity, and whether the operation has an amount.
SHAPES: dict[str, tuple[dict[str, Any], bool]] = {
    "one a day, three in all": (
        {"periodic_limits": [DAY | usd(5000) | {"max_count": 1}], "max_total": usd(15000)},
        True,
    ),
    "variable, three a day, five a week": (
        {
            "max_individual_amount": usd(6000),
            "periodic_limits": [DAY | usd(10000) | {"max_count": 3}, WEEK | {"max_count": 5}],
            "max_total": usd(25000),
        },
        False,
    ),
    "variable, two a day, three a week": (
        {
            "max_individual_amount": usd(5000),
            "periodic_limits": [DAY | {"max_count": 2}, WEEK | {"max_count": 3}],
            "max_total": usd(90000),
        },
        False,
    ),
    "variable, six in its life, small in all": (
        {"max_individual_amount": usd(6000), "max_occurrences": 6, "max_total": usd(20000)},
        False,
    ),
    "scheduled, windows that overlap": (
        {"schedule": "FREQ=DAILY;COUNT=4", "due_window": "PT36H", "max_total": usd(15000)},
        True,
    ),
    "two in its life": ({"max_occurrences": 2}, True),
}


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a service returns, or the class of its refusal."""
    try:
        return call()
    except ProblemError as refusal:
        return type(refusal)


class MandatesWorld(RuleBasedStateMachine):
    """Alice, a trigger, an executor, some mandates, and how they are asked for things."""

    world: mandates.Savings
    codes: int

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.sink = override_settings(LEDGER_SINK=Path(self.folder.name) / "checkpoints")
        self.sink.enable()
        reconnect()
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        forget_key_ring()
        forget_sink()
        # Later than anything that a clock of the machine itself shows; the same hour every day.
        self.start = datetime.now(UTC).replace(hour=20, minute=0, second=0, microsecond=0)
        self.start += timedelta(days=4)
        self.set_clock(self.start)
        self.around = Around()
        self.mandates: list[Mandate] = []
        self.issued: list[list[Issued]] = []  # by mandate, each signature
        self.answers: dict[str, tuple[Request, Answer, str]] = {}  # by key, with the receipt
        self.amounts: dict[str, int] = {}  # by redemption id
        self.consents: list[tuple[Consent, dict[str, Any]]] = []
        self.keys = self.codes = self.sealed = 0
        self.sealing = Sealing()

    def begin(self, mode: str) -> None:
        self.world = mandates.savings(consent=mode)
        factories.totp_device(self.world.alice)

    def teardown(self) -> None:
        show(None)
        forget_key_ring()
        forget_sink()
        self.sink.disable()
        self.folder.cleanup()

    def set_clock(self, clock: datetime) -> None:
        """Put the clock forward or back, two days before the start at most."""
        self.clock = max(clock, self.start - timedelta(days=2))
        show(self.clock)

    @property
    def lease(self) -> timedelta:
        lease: timedelta = django_settings.REDEMPTION_LEASE
        return lease

    def chosen(self, luck: Random) -> int:
        """Choose a mandate, mostly one that has not ended."""
        numbers = range(len(self.mandates))
        live = [n for n in numbers if not self.mandates[n].has_ended(self.clock)]
        return luck.choice(live if live and luck.random() < 0.9 else list(numbers))

    def suffer(
        self, what: str, fault: Fault, call: Callable[[], Any], judge: Callable[[Any], None]
    ) -> None:
        """Call it under a fault, and again where nothing came back; judge all that was done."""
        if fault.kind and not fault.statement:
            judge(outcome(call))  # done, but nobody heard
            TOLD[f"{fault.kind} loses the answer: {what}"] += 1
        elif fault.kind:
            try:
                with fault.inside():
                    found = outcome(call)
            except LOST:
                TOLD[f"{fault.kind} loses the write: {what}"] += 1
            else:
                judge(found)
                reconnect()
                return
        if fault.kind == "drop":
            reconnect()
        judge(outcome(call))

    def agree(
        self, what: str, fault: Fault, call: Callable[[], Any], model: Callable[[], Refusal | None]
    ) -> None:
        """Check that the service refuses what the model refuses, and nothing else."""

        def judge(found: Any) -> None:
            expected = model()
            assert (found if isinstance(found, type) else None) == expected
            TOLD[expected.__name__ if expected else what] += 1

        self.suffer(what, fault, call, judge)

    # Redemptions

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys:03}"

    def present(self, key: str, request: Request, fault: Fault) -> None:
        what = "retry" if key in self.answers else "redeem"
        judge = partial(self.judge, key, request)
        self.suffer(what, fault, partial(self.send, key, request), judge)

    def body(self, request: Request) -> RedemptionRequest:
        operation = self.issued[request.operation_of][0].row.details["operation"]
        amount = Amount(request.minor, "USD") if request.minor else None
        token = self.issued[request.mandate][request.signature].token
        return RedemptionRequest(token, operation, amount, request.occurrence)

    def send(self, key: str, request: Request) -> Any:
        return redeem_operation_token(
            by=self.world.redeemer, request=self.body(request), idempotency_key=key
        )

    def judge(self, key: str, request: Request, found: Any) -> None:
        """Hold an answer against the model's, and remember it."""
        expected = self.expected(key, request)
        if isinstance(expected, type):
            assert found is expected
            passed = self.mandates[request.mandate].passed if expected is LimitExceeded else ""
            TOLD[f"{expected.__name__} {passed}".strip()] += 1
            return
        told = Answer(found.redemption.slot, found.attempt.attempt, found.created, found.proceed)
        assert told == expected
        receipt = found.attempt.receipt
        if key in self.answers:
            assert receipt == self.answers[key][2]
            TOLD["repeated, proceed" if told.proceed else "repeated"] += 1
            return
        self.answers[key] = (request, told, receipt)
        TOLD["redeemed" if told.created else "attempted again"] += 1
        # One amount for ever (I16).
        amount = found.redemption.amount_minor
        assert self.amounts.setdefault(found.redemption.pk, amount) == amount

    def expected(self, key: str, request: Request) -> Answer | Refusal:
        mandate = self.mandates[request.mandate]
        if key not in self.answers:
            return mandate.redeem(request, self.clock)
        former, answer, _ = self.answers[key]
        if former != request:
            return IdempotencyMismatch
        proceed = mandate.permits(answer.slot, answer.attempt, self.clock)
        return Answer(answer.slot, answer.attempt, created=False, proceed=proceed)
