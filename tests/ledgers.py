"""Ledgers with a history, for tests that tamper with them: several chains, sealed bit by bit."""

import json
import random
from dataclasses import dataclass
from typing import Any

from batchtokens.models import HoldKind, LedgerLeaf, OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.ledger import entry_hash
from batchtokens_verifier.merkle import leaf_hash
from tests import mandates


@dataclass
class History:
    """A world, its operations, and the sealer that follows them."""

    world: mandates.Savings
    chance: random.Random
    operations: list[Issued]
    sealing: Sealing

    def grow(self, steps: int) -> None:
        """Do so many things to operations; seal now and then."""
        for number in range(steps):
            self._step(number)
            if self.chance.random() < 0.4:
                self.sealing.look()
        self.sealing.look()

    def _step(self, number: int) -> None:
        if len(self.operations) < 3 or self.chance.random() < 0.15:
            self.operations.append(issue_daily(self.world))
        else:
            self._change(self.chance.choice(self.operations), f"step-{number}")

    def _change(self, issued: Issued, key: str) -> None:
        row = issued.row
        row.refresh_from_db()
        if row.cancelled_at is not None:
            return
        if row.holds:
            resume_operation(operation_id=row.pk, by=HoldKind.USER)
        elif row.taken_count < 3 and self.chance.random() < 0.75:
            self._redeem(issued, key)
        elif self.chance.random() < 0.9:
            hold_operation(operation_id=row.pk, by=HoldKind.USER, words=Words(reason=f"away {key}"))
        else:
            cancel_operation(operation_id=row.pk, by=HoldKind.STAFF, words=Words(reason="closed"))

    def _redeem(self, issued: Issued, key: str) -> None:
        answer = mandates.redeem(self.world, issued, f"{issued.row.pk}-{key}")
        closing = Closing(answer.redemption.pk, answer.attempt.attempt, "note")
        match self.chance.randrange(3):
            case 0:
                settle_redemption(by=self.world.redeemer, closing=closing)
            case 1 if answer.redemption.releases < 2:
                release_redemption(by=self.world.redeemer, closing=closing)


def issue_daily(world: mandates.Savings) -> Issued:
    """Issue a mandate that may be redeemed three times a day."""
    limit = {
        "period_type": "day",
        "period_alignment": "consent",
        "time_zone": "UTC",
        "amount": "150.00",
        "currency": "USD",
        "max_count": 3,
    }
    return mandates.issue(world, periodic_limits=[limit])


def history(seed: int, *, steps: int = 30) -> History:
    """Make a world with a ledger of its own."""
    made = History(mandates.savings(), random.Random(seed), [], Sealing())
    made.grow(steps)
    return made


def canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_anew(token: OperationToken) -> None:
    previous = ""
    for entry in token.ledger_entries.order_by("seq"):
        entry.entry = canonical({**json.loads(entry.entry), "prev": previous})
        entry.hash = previous = entry_hash(entry.entry)
        entry.save()
        leaf = b64url(leaf_hash(entry.entry.encode()))
        LedgerLeaf.objects.filter(entry=entry).update(hash=leaf)
    OperationToken.objects.filter(pk=token.pk).update(head_hash=previous)
