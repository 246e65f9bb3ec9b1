"""A world of mandates: the services on one side, the model in memory on the other.

Every world begins with an empty database, a sink of its own, and a clock that the database shows.
What services write is committed: a crash or a broken connection loses exactly what it would.
"""

from __future__ import annotations

import tempfile
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

from accounts.models import ServiceClient
from accounts.tokens.keyring import forget_key_ring
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.redemption.redeem import RedemptionRequest, redeem_operation_token
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import IdempotencyMismatch, LimitExceeded, ProblemError
from tests import factories, mandates
from tests.mandate_machine.around import Around
from tests.mandate_machine.faults import LOST, Fault, reconnect, show
from tests.mandate_machine.model import Mandate
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Answer, Refusal, Request

# Later than any clock of the machine itself, and the same for ever: a seed tells the same story.
# Berlin's clocks go forward, and back, in the night after; then a day and a year end; then nothing.
STARTS = [
    datetime(2037, 3, 28, 20, tzinfo=UTC),
    datetime(2037, 10, 24, 20, tzinfo=UTC),
    datetime(2036, 12, 30, 20, tzinfo=UTC),
    datetime(2037, 6, 9, 20, tzinfo=UTC),
]
RIVAL_AUDIENCE = "https://rival.example/"
BANK_AUDIENCE = "https://bank.example/"


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a service returns, or the class of its refusal."""
    try:
        return call()
    except ProblemError as refusal:
        return type(refusal)


class World(RuleBasedStateMachine):
    """Alice, a trigger, an executor, some mandates, and how they are asked for things.

    rival: a second trigger of the same type; bank: an executor of another one. fate: all luck so
    far. earliest, latest: what the clock has shown.
    """

    world: mandates.Savings
    rival: ServiceClient
    bank: ServiceClient
    codes: int
    fate: Random
    app: Callable[[], str] | None
    shows_suspended: bool
    start: datetime

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.sink = override_settings(LEDGER_SINK=Path(self.folder.name) / "checkpoints")
        self.sink.enable()
        reconnect()
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        forget_key_ring()
        forget_sink()
        self.around = Around()
        self.mandates: list[Mandate] = []
        self.issued: list[list[Issued]] = []  # by mandate, each signature
        self.answers: dict[str, tuple[Request, Answer, str]] = {}  # by key, with the receipt
        self.amounts: dict[str, int] = {}  # by redemption id
        self.heads: list[TreeHead] = []
        self.keys = self.codes = 0
        self.sealing = Sealing()

    def begin(self, mode: str, luck: Random) -> None:
        self.start = self.clock = self.earliest = self.latest = luck.choice(STARTS)
        self.set_clock(self.start)
        self.rival = factories.service_client(
            "rival", scopes=["token_exchange"], audience=RIVAL_AUDIENCE
        ).client
        self.bank = factories.service_client(
            "bank", scopes=["redeem"], audience=BANK_AUDIENCE
        ).client
        self.shows_suspended = luck.random() < 0.5
        self.world = mandates.savings(consent=mode, trigger_clients=["trigger", "rival"])
        self.world.kind.shows_suspended = self.shows_suspended
        self.world.kind.save()
        _, self.app = factories.totp_device(self.world.alice)

    def teardown(self) -> None:
        show(None)
        forget_key_ring()
        forget_sink()
        self.sink.disable()
        self.folder.cleanup()

    def set_clock(self, clock: datetime) -> None:
        """Put the clock forward or back, two days before the start at most."""
        self.clock = max(clock, self.start - timedelta(days=2))
        self.earliest, self.latest = min(self.earliest, self.clock), max(self.latest, self.clock)
        show(self.clock)

    def perhaps_turn_back(self, luck: Random) -> None:
        """Sometimes have the clock go back just before something is decided (I8)."""
        if luck.random() < 0.4:
            self.set_clock(self.clock - timedelta(seconds=luck.choice([1, 60, 3600])))

    @property
    def lease(self) -> timedelta:
        lease: timedelta = django_settings.REDEMPTION_LEASE
        return lease

    def live(self) -> list[int]:
        return [n for n, each in enumerate(self.mandates) if not each.has_ended(self.clock)]

    def chosen(self, luck: Random) -> int:
        """Choose a mandate, mostly one that has not ended."""
        live = self.live()
        return luck.choice(
            live if live and luck.random() < 0.9 else list(range(len(self.mandates)))
        )

    def suffer(
        self, what: str, fault: Fault, call: Callable[[], Any], judge: Callable[[Any], None]
    ) -> None:
        """Call it under a fault, and again where nothing came back; judge all that was done."""
        if fault.kind and not fault.statement:
            judge(outcome(call))  # done, but nobody heard
            self.tell_loss("answer", what, fault)
        elif fault.kind:
            try:
                with fault.inside():
                    found = outcome(call)
            except LOST:
                self.tell_loss("write", what, fault)
            else:
                judge(found)
                reconnect()
                return
        if fault.kind == "drop":
            reconnect()
        judge(outcome(call))

    def tell_loss(self, lost: str, what: str, fault: Fault) -> None:
        TOLD[f"fault: {what}, {lost} lost"] += 1
        TOLD[f"fault: {fault.kind}"] += 1

    def agree(
        self, what: str, fault: Fault, call: Callable[[], Any], model: Callable[[], Refusal | None]
    ) -> None:
        """Check that the service refuses what the model refuses, and nothing else."""

        def judge(found: Any) -> None:
            expected = model()
            assert (found if isinstance(found, type) else None) == expected
            TOLD[f"{what}: {expected.__name__ if expected else 'done'}"] += 1

        self.suffer(what, fault, call, judge)

    def refused(self, what: str, call: Callable[[], Any], expected: Refusal) -> None:
        """Check that it is refused like this."""
        assert outcome(call) is expected
        TOLD[f"{what}: {expected.__name__}"] += 1

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
        if request.edited:
            operation = operation | {request.edited: "another"}
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
            TOLD[f"redeem: {expected.__name__} {passed}".strip()] += 1
            return
        told = Answer(found.redemption.slot, found.attempt.attempt, found.created, found.proceed)
        assert told == expected
        receipt = found.attempt.receipt
        if key in self.answers:
            assert receipt == self.answers[key][2]
            return
        self.answers[key] = (request, told, receipt)
        named = ", named" if request.occurrence else ""
        TOLD[f"redeem: {'new' if told.created else 'again'}{named}"] += 1
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
        forbids = mandate.forbids(answer.slot, answer.attempt, self.clock)
        TOLD[f"retry: {forbids or 'proceed'}"] += 1
        return Answer(answer.slot, answer.attempt, created=False, proceed=not forbids)
