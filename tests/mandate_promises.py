"""What must hold of a world of mandates after each step, and all of it at a world's end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings as django_settings

from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
    LedgerEntry,
    LedgerLeaf,
    OperationToken,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.services.introspect import introspect_operation_token
from batchtokens.services.occurrences import tell_occurrences
from batchtokens.services.seal import Sealing
from batchtokens.services.status_lists import forget_status_lists, sign_status_list
from batchtokens.services.status_places import status_list_uri
from batchtokens.services.verify_ledger import verify_ledger
from batchtokens.services.verify_tree import verify_tree
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.policy import ExecutorPolicy, verify_operation_token
from batchtokens_verifier.receipts import verify_receipt
from batchtokens_verifier.status_list import StatusList, verify_status_list
from tests import mandates
from tests.mandate_model import Mandate
from tests.mandate_words import cents
from tests.mandate_worlds import TOLD, MandatesWorld, usd


class MandatePromises(MandatesWorld):
    """Compare everything that the server tells with the model."""

    def the_state_is_the_models(self) -> None:
        """Two statements, for they are asked after every step."""
        rows = {row.pk: row for row in OperationToken.objects.all()}
        stored: dict[object, dict[str, tuple[str, int, int, int]]] = {pk: {} for pk in rows}
        for each in Redemption.objects.all():
            state = (each.status, each.attempt, each.amount_minor, each.releases)
            stored[each.operation_token_id][each.slot] = state
        assert len(rows) == len(self.mandates)
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            row = rows[signed[0].row.pk]
            check_row(row, mandate)
            assert stored[row.pk] == {
                slot: (taken.status, taken.attempt, taken.minor, taken.releases)
                for slot, taken in mandate.taken.items()
            }

    def limits_hold(self) -> None:
        for mandate in self.mandates:
            total = sum(taken.minor for taken in mandate.counted())
            assert total <= cents(mandate.constraints.get("max_total", usd(10**9)))
            assert len(mandate.counted()) <= mandate.capacity

    # At the end of a world

    def every_answer_is_proven(self) -> None:
        """Receipts are stored as they were given, verify, and are in the ledger (I5)."""
        stored = dict(RedemptionAttempt.objects.values_list("idempotency_key", "receipt"))
        assert stored == {key: receipt for key, (_, _, receipt) in self.answers.items()}
        entries = set(LedgerEntry.objects.values_list("hash", "seq"))
        keys = current_key_ring().verification_keys()
        for _, answer, receipt in self.answers.values():
            proven = verify_receipt(
                receipt,
                keys=keys,
                issuer=django_settings.ISSUER_URL,
                audience=self.world.redeemer.client_id,
            )
            told = (proven.slot, proven.attempt, proven.status)
            assert told == (answer.slot, answer.attempt, "reserved")
            assert proven.amount.minor == self.amounts[proven.redemption_id]
            assert (proven.entry_hash, proven.seq) in entries

    def the_ledger_is_sound_and_sealed(self) -> None:
        assert [finding for _, found in verify_ledger() for finding in found] == []
        self.all_is_sealed(Sealing())
        assert [finding for _, found in verify_tree() for finding in found] == []

    def all_is_sealed(self, sealing: Sealing) -> None:
        head = sealing.look().head
        entries = LedgerEntry.objects.count()
        assert head
        assert head.size == entries == LedgerLeaf.objects.count() >= self.sealed
        self.sealed = entries

    def every_occurrence_has_one_state(self) -> None:
        """What was due is accounted for, each once (I7)."""
        at = max([self.clock, *(mandate.last_at for mandate in self.mandates)])
        rows = OperationToken.objects.all()
        told = {row.pk: found for row, found in tell_occurrences(rows, at=at)}
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            found = {each.slot.name: each.state.value for each in told[signed[0].row.pk]}
            assert found == mandate.tell(at)
            TOLD.update(f"occurrence {state}" for state in found.values())

    def all_doors_agree(self) -> None:
        """Introspection, status list and the offline verifier tell what the model tells (I9)."""
        published = self.published()
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            for signature, issued in enumerate(signed):
                is_last = signature == len(signed) - 1
                told = introspect_operation_token(by=self.world.redeemer, token=issued.token)
                stopped = is_stopped(mandate)
                lives = (
                    is_last and mandate.believed and not stopped and self.clock < mandate.valid_to
                )
                assert told["active"] == lives
                if lives:
                    assert told["consumption"]["redeemed"] == len(mandate.counted())
                TOLD["active" if lives else "inactive"] += 1
            row = signed[-1].row
            assert published.value(row.status_index or 0) == int(stopped)
            self.offline_agrees(mandate, signed[-1].token, row)

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
            issuer=django_settings.ISSUER_URL,
        )

    def offline_agrees(self, mandate: Mandate, token: str, row: OperationToken) -> None:
        """What it cannot know, holds and uses, changes nothing; a key found out ends a token."""
        policy = ExecutorPolicy(
            django_settings.ISSUER_URL, mandates.EXECUTOR_AUDIENCE, frozenset({"savings.deposit"})
        )
        try:
            verify_operation_token(
                token,
                keys=current_key_ring().verification_keys(),
                policy=policy,
                now=mandate.valid_to - timedelta(seconds=1),
                operation=row.details["operation"],
            )
        except TokenNotValid:
            assert not mandate.believed
        else:
            assert mandate.believed


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
    assert (row.consent_mode == "exact") == (row.consent_id is not None)  # I14
