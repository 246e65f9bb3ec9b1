"""What must hold of a world of mandates after each step, and all of it at a world's end."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.conf import settings

from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
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
from batchtokens.services.mandates.introspect import introspect_operation_token
from batchtokens.services.mandates.occurrences import tell_occurrences
from batchtokens.services.redemption.check_redemption import check_redemption
from batchtokens.services.status.status_lists import forget_status_lists, sign_status_list
from batchtokens.services.status.status_places import status_list_uri
from batchtokens_verifier.checkpoints import verify_entry_included, verify_heads_consistent
from batchtokens_verifier.claims import CLOCK_SKEW_SECONDS
from batchtokens_verifier.errors import (
    OperationMismatch,
    OperationRevoked,
    OperationTokenNotValid,
    OutsideValidity,
    VerificationError,
)
from batchtokens_verifier.policy import ExecutorPolicy, verify_operation_token
from batchtokens_verifier.receipts import verify_receipt
from batchtokens_verifier.status_list import StatusList, verify_status_list
from tests import mandates
from tests.mandate_machine.faults import Fault
from tests.mandate_machine.model import Mandate
from tests.mandate_machine.occurrences import GRACE, tell
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Refusal, Request, cents, usd
from tests.mandate_machine.world import World

POLICY = ExecutorPolicy(
    settings.ISSUER_URL, mandates.EXECUTOR_AUDIENCE, frozenset({"savings.deposit"})
)
SKEW = timedelta(seconds=CLOCK_SKEW_SECONDS)


class Promises(World):
    """Compare everything that the server tells with the model."""

    def the_state_is_the_models(self) -> None:
        """Two statements, for they are asked after every step."""
        rows = {row.pk: row for row in OperationToken.objects.all()}
        stored: dict[object, dict[str, tuple[object, ...]]] = {pk: {} for pk in rows}
        for each in Redemption.objects.all():
            state = (each.status, each.attempt, each.amount_minor, each.releases, each.reference)
            instants = (each.counts_at, each.lease_expires_at)
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
        self.what_was_shown_was_granted()
        self.every_occurrence_has_one_state()
        # Once more when all is over, for what is missed then, or was never due.
        self.set_clock(max(mandate.valid_to for mandate in self.mandates) + 2 * GRACE)
        self.every_occurrence_has_one_state()
        self.all_doors_agree()

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

    def every_occurrence_has_one_state(self) -> None:
        """What was due is accounted for, each once (I7)."""
        at = max([self.clock, *(mandate.last_at for mandate in self.mandates)])
        rows = OperationToken.objects.all()
        told = {row.pk: found for row, found in tell_occurrences(rows, at=at)}
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            found = {each.slot.name: each.state.value for each in told[signed[0].row.pk]}
            assert found == tell(mandate, at)
            TOLD.update(f"occurrence: {state}" for state in found.values())

    # All doors, at any time

    def all_doors_agree(self) -> None:
        """Introspection, status list, check and offline verifier tell what the model tells (I9)."""
        published = self.published()
        for number, (mandate, signed) in enumerate(zip(self.mandates, self.issued, strict=True)):
            for signature, issued in enumerate(signed):
                is_last = signature == len(signed) - 1
                self.introspection_agrees(mandate, issued.token, is_last=is_last)
            row = signed[-1].row
            assert published.value(row.status_index or 0) == int(is_stopped(mandate))
            self.check_agrees(number, mandate, row)
            self.offline_agrees(mandate, signed[-1].token, row, published)

    def introspection_agrees(self, mandate: Mandate, token: str, *, is_last: bool) -> None:
        told = introspect_operation_token(by=self.world.redeemer, token=token)
        runs = is_last and mandate.believed and not is_stopped(mandate)
        lives = runs and self.clock < mandate.valid_to
        assert told["active"] == lives
        if lives:
            assert told["consumption"]["redeemed"] == len(mandate.counted())
            assert told["consumption"]["settled"] == mandate.settled()
        TOLD[f"introspection: {'active' if lives else 'inactive'}"] += 1

    def published(self) -> StatusList:
        forget_status_lists()
        listed = OperationToken.objects.select_related("status_list")[0].status_list
        assert listed
        token = sign_status_list(public_id=listed.public_id).token
        return verify_status_list(
            token,
            keys=current_key_ring().verification_keys(),
            uri=status_list_uri(listed.pk),
            now=self.clock,
            issuer=settings.ISSUER_URL,
        )

    def check_agrees(self, number: int, mandate: Mandate, row: OperationToken) -> None:
        """Asking whether it would run is answered as a redemption would be, caps aside."""
        tried = deepcopy(mandate)
        tried.around.caps, tried.believed = {}, True
        minor = None if mandate.fixed is not None else 1
        request = Request(number, number, minor, None, mandate.signatures - 1)
        expected = tried.redeem(request, self.clock)
        found = check_redemption(by=self.world.alice, public_id=row.public_id)
        assert (type(found.refusal) if found.refusal else None) == (
            expected if isinstance(expected, type) else None
        )
        assert found.remaining.occurrences == max(
            0, mandate.effective.get("max_occurrences", mandate.capacity) - len(mandate.counted())
        )
        TOLD["check: would run" if found.refusal is None else "check: would not"] += 1

    def offline_agrees(
        self, mandate: Mandate, token: str, row: OperationToken, published: StatusList
    ) -> None:
        """Offline, uses are not known: the keys, the copy, the clock and the status decide."""
        wrong = dict(row.details["operation"], reference="another")
        for operation, lists in (
            (row.details["operation"], None),
            (wrong, None),
            (None, published),
        ):
            try:
                verdict = verify_operation_token(
                    token,
                    keys=current_key_ring().verification_keys(),
                    policy=POLICY,
                    now=self.clock,
                    operation=operation,
                    status_list=lists,
                )
            except VerificationError as refusal:
                found = type(refusal).__name__
            else:
                found = f"fine, consumption {verdict.consumption}"
            expected = self.offline(mandate, edited=operation == wrong, listed=lists is not None)
            assert found == (expected.__name__ if expected else "fine, consumption unknown")
            TOLD[f"offline: {found}"] += 1

    def offline(self, mandate: Mandate, *, edited: bool, listed: bool) -> Refusal | None:
        if not mandate.believed or self.clock < mandate.issued_at - SKEW:
            return OperationTokenNotValid
        if edited:
            return OperationMismatch
        if not mandate.valid_from - SKEW <= self.clock < mandate.valid_to:
            return OutsideValidity
        return OperationRevoked if listed and is_stopped(mandate) else None


def is_stopped(mandate: Mandate) -> bool:
    """Say whether it is told to be over, but for time: what verifiers see for themselves."""
    over = mandate.cancelled_at is not None or mandate.settled() >= mandate.capacity
    waits = mandate.waits_for_signature
    return bool(over or waits or mandate.holds or mandate.around.off)


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
