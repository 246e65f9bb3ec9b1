"""What must hold of a world of mandates after each step, and all of it at a world's end."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from django.conf import settings

from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
    Checkpoint,
    Consent,
    LedgerEntry,
    LedgerLeaf,
    OperationToken,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.services.ledger.prove import prove_consistency, prove_redemption
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens.services.mandates.occurrences import tell_occurrences
from batchtokens_verifier.checkpoints import verify_entry_included, verify_heads_consistent
from batchtokens_verifier.receipts import verify_receipt
from tests.mandate_machine.doors import Doors
from tests.mandate_machine.faults import Fault
from tests.mandate_machine.model import Mandate
from tests.mandate_machine.occurrences import GRACE, tell
from tests.mandate_machine.rules.consents import ConsentRules
from tests.mandate_machine.rules.reports import ReportRules
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import cents, usd

# Where an instant is written down that decides, or tells what was decided (I8).
INSTANTS: list[tuple[Any, list[str]]] = [
    (OperationToken, ["issued_at", "last_at", "cancelled_at", "disowned_at"]),
    (Redemption, ["reserved_at", "settled_at"]),
    (RedemptionAttempt, ["at"]),
    (Consent, ["created_at", "confirmed_at", "spent_at"]),
    (LedgerEntry, ["at"]),
    (Checkpoint, ["at"]),
]


class Promises(Doors, ReportRules, ConsentRules):
    """Compare everything that the server tells with the model."""

    def the_state_is_the_models(self) -> None:
        """Two statements, for they are asked after every step."""
        rows = {row.pk: row for row in OperationToken.objects.all()}
        stored: dict[object, dict[str, tuple[object, ...]]] = {pk: {} for pk in rows}
        for each in Redemption.objects.all():
            state = (each.status, each.attempt, each.amount_minor, each.releases, each.reference)
            instants = (each.counts_at, each.lease_expires_at, each.reserved_at, each.settled_at)
            stored[each.operation_token_id][each.slot] = (*state, *instants)
        assert len(rows) == len(self.mandates)
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            row = rows[signed[0].row.pk]
            check_row(row, mandate)
            assert stored[row.pk] == {
                slot: (
                    taken.status,
                    taken.attempt,
                    taken.minor,
                    taken.releases,
                    taken.note,
                    taken.counts_at,
                    taken.lease_ends,
                    taken.lease_ends - self.lease,
                    taken.settled_at,
                )
                for slot, taken in mandate.taken.items()
            }

    def limits_hold(self) -> None:
        """Count what was taken (I1), whatever the model has let through."""
        for mandate in self.mandates:
            total = sum(taken.minor for taken in mandate.counted())
            assert total <= cents(mandate.constraints.get("max_total", usd(10**9)))
            assert len(mandate.counted()) <= mandate.capacity

    # At the end of a world

    def look_at_the_end(self) -> None:
        self.all_doors_agree()
        self.every_key_is_answered_again()
        self.the_ledger_is_sound_and_sealed()
        self.the_ledger_only_grew()
        self.every_answer_is_proven()
        self.instants_never_decrease()
        self.instants_are_the_databases()
        self.what_was_shown_was_granted()
        self.consents_are_the_models()
        self.every_occurrence_has_one_state()
        # Once more at the very instant at which one ends, and when all is over, for what is missed
        # then, or was never due.
        self.set_clock(min((self.mandates[n].valid_to for n in self.live()), default=self.clock))
        self.all_doors_agree()
        self.set_clock(max(mandate.valid_to for mandate in self.mandates) + 2 * GRACE)
        self.every_occurrence_has_one_state()
        self.every_missed_one_was_reported()

    def every_key_is_answered_again(self) -> None:
        """Each gets its first receipt, and permission only where there still is one (I5, I6)."""
        for key, (request, _, _) in sorted(self.answers.items()):
            self.present(key, request, Fault())

    def every_answer_is_proven(self) -> None:
        """Receipts are stored as they were given, verify, and are in the sealed ledger (I5)."""
        stored = dict(RedemptionAttempt.objects.values_list("idempotency_key", "receipt"))
        assert stored == {key: receipt for key, (_, _, receipt) in self.answers.items()}
        proven = {proof.entry: proof for each in self.amounts for proof in self.proofs_of(each)}
        entries = dict(LedgerEntry.objects.values_list("hash", "entry"))
        keys = current_key_ring().verification_keys()
        for _, answer, text in self.answers.values():
            receipt = verify_receipt(
                text,
                keys=keys,
                issuer=settings.ISSUER_URL,
                audience=self.world.redeemer.client_id,
            )
            told = (receipt.slot, receipt.attempt, receipt.status)
            assert told == (answer.slot, answer.attempt, "reserved")
            assert receipt.amount.minor == self.amounts[receipt.redemption_id]
            proof = proven[entries[receipt.entry_hash]]
            verify_entry_included(
                proof.entry.encode(), index=proof.index, proof=proof.proof, head=self.heads[-1]
            )

    def proofs_of(self, redemption: str) -> list[Any]:
        return prove_redemption(by=self.world.redeemer, redemption_id=redemption)

    def the_ledger_is_sound_and_sealed(self) -> None:
        assert [finding for _, found in verify_ledger() for finding in found] == []
        self.all_is_sealed(Sealing())
        assert [finding for _, found in verify_tree() for finding in found] == []

    def all_is_sealed(self, sealing: Sealing) -> None:
        head = sealing.look().head
        assert head
        assert head.size == LedgerEntry.objects.count() == LedgerLeaf.objects.count()
        self.heads.append(head)

    def the_ledger_only_grew(self) -> None:
        """Each head that was ever signed is the beginning of the next one (I2)."""
        for first, second in pairwise(self.heads):
            if first != second:
                proof = prove_consistency(first=first.size, second=second.size)
                verify_heads_consistent(first, second, proof=proof)
                TOLD["consistent heads"] += 1

    def instants_never_decrease(self) -> None:
        """By chain, in the order of its entries (I8)."""
        told = LedgerEntry.objects.order_by("operation_token", "seq")
        instants = list(told.values_list("operation_token", "seq", "at"))
        for (chain, seq, at), (next_chain, next_seq, next_at) in pairwise(instants):
            assert chain != next_chain or (seq + 1 == next_seq and at <= next_at)

    def instants_are_the_databases(self) -> None:
        """None is of another clock than the one that the world has shown (I8)."""
        for model, names in INSTANTS:
            found = model.objects.order_by("pk").values_list(*names)
            for instant in (each for row in found for each in row if each is not None):
                assert self.earliest <= instant <= self.latest

    def what_was_shown_was_granted(self) -> None:
        """A consent buys one token, to the last member and word of what was shown (I14)."""
        bought = OperationToken.objects.select_related("consent", "operation_type")
        for row in bought:
            consent = row.consent
            assert (row.operation_type.consent == "exact") == (consent is not None)
            if consent is not None:
                shown = {"summary": consent.summary, **consent.details}
                granted = {"summary": row.summary, **row.details}
                assert shown.items() <= granted.items()
                assert consent.spent_at
                assert consent.confirmed_at
                TOLD["granted as shown"] += 1

    def consents_are_the_models(self) -> None:
        """Each is confirmed, spent and over where the model says so (I13)."""
        rows = {row.public_id: row for row in Consent.objects.all()}
        found = {
            name: (row.confirmed_at is not None, row.spent_at is not None, row.expires_at)
            for name, row in rows.items()
        }
        assert found == {
            shown.stored.public_id: (shown.confirmed, shown.spent, shown.expires)
            for shown in self.shown
            if not shown.deleted
        }

    def every_occurrence_has_one_state(self) -> None:
        """What was due is accounted for, each once (I7)."""
        at = max([self.clock, *(mandate.last_at for mandate in self.mandates)])
        rows = OperationToken.objects.all()
        told = {row.pk: found for row, found in tell_occurrences(rows, at=at)}
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            found = {each.slot.name: each.state.value for each in told[signed[0].row.pk]}
            assert found == tell(mandate, at)
            TOLD.update(f"occurrence: {state}" for state in found.values())


def check_row(row: OperationToken, mandate: Mandate) -> None:
    counted = mandate.counted()
    assert (row.taken_count, row.taken_minor) == (
        len(counted),
        sum(taken.minor for taken in counted),
    )
    assert row.settled_count == mandate.settled()
    assert set(row.holds) == mandate.holds
    assert row.cancelled_at == mandate.cancelled_at
    assert row.lowered == mandate.lowered
    assert (row.disowned_at is not None) == mandate.waits_for_signature
    assert row.last_at == mandate.last_at >= datetime(2020, 1, 1, tzinfo=UTC)  # I8
