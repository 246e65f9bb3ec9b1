"""A restored older database is healed from an export: no redeemed slot opens again (I1)."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.errors import LedgerBehind, LedgerBroken, NothingToReconcile
from batchtokens.models import (
    ExecutorControl,
    HoldKind,
    LedgerEntry,
    LedgerLeaf,
    OperationToken,
    OperationType,
    Redemption,
    RedemptionStatus,
)
from batchtokens.models.clock import database_now
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.export_ledger import export_ledger
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import newest_checkpoint
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from batchtokens.services.recovery.restore_ledger import preview_restore, restore_ledger
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.redemption.stop_executor import start_executor, stop_executor
from batchtokens.services.reports.account_for_day import day_lines
from batchtokens_verifier.errors import (
    LedgerNotValid,
    OperationHeld,
    OperationTokenNotValid,
    SlotAlreadyRedeemed,
)
from batchtokens_verifier.exports import verify_export
from batchtokens_verifier.jws import Purpose
from tests import ledgers, mandates
from tests.copies import copied
from tests.forged_exports import (
    with_a_changed_entry,
    with_a_last_second,
    with_an_issue_of_the_last_second,
    with_another_past,
    without_the_last_leaf,
)

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the disk burned"


@dataclass
class Night:
    """What was known before and after the copy; `export` was made before the copy was put back."""

    world: mandates.Savings
    known: Issued
    cancelled: Issued
    held: Issued
    unknown: Issued
    second: Any
    export: list[str]
    account: dict[str, dict[str, Any]]


@pytest.fixture
def night(settings: Any, tmp_path: Path) -> Iterator[Night]:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.savings()
    known, cancelled, held = (ledgers.issue_daily(world) for _ in range(3))
    first = mandates.redeem(world, known, "first")
    Sealing().look()
    hold_operation(operation_id=held.row.pk, by=HoldKind.USER)  # in the copy, without a leaf
    stop_executor(executor=world.redeemer, reason="for the night")
    switch_operation_type(name=world.kind.name, is_active=False)
    with copied(tmp_path) as put_back:
        start_executor(executor=world.redeemer, reason="it is morning")
        switch_operation_type(name=world.kind.name, is_active=True)
        settle_redemption(by=world.redeemer, closing=Closing(first.redemption.pk, 1, "bank-1"))
        second = mandates.redeem(world, known, "second")
        mandates.redeem(world, cancelled, "third")
        cancel_operation(operation_id=cancelled.row.pk, by=HoldKind.USER)
        released = mandates.redeem(world, known, "fourth").redemption
        release_redemption(by=world.redeemer, closing=Closing(released.pk, 1))
        retire_signing_key(kid=retired_key(), reason="old")
        lower_limits(operation_id=held.row.pk, limits=Limits(max_occurrences=2))
        unknown = ledgers.issue_daily(world)
        mandates.redeem(world, unknown, "fifth")
        Sealing().look()
        export = list(export_ledger(notes=True))
        told = account(second.redemption.reserved_at.date())
        put_back()
        forget_sink()
        forget_key_ring()
        yield Night(world, known, cancelled, held, unknown, second, export, told)


def account(day: date) -> dict[str, dict[str, Any]]:
    """Return what is said of each redemption of a day."""
    return {line.redemption: asdict(line) for line in day_lines(day) if line.redemption}


def retired_key() -> str:
    """Return a key that signs nothing in these tests."""
    return SigningKey.objects.for_purpose(Purpose.STATUS).latest("activates_at").kid


def findings() -> list[Any]:
    return [f for _, page in [*verify_ledger(), *verify_tree(whole_sink=True)] for f in page]


def states() -> dict[str, Any]:
    return {row.public_id: row.state() for row in OperationToken.objects.all()}


def told_states(night: Night) -> dict[str, Any]:
    told = [json.loads(line) for line in night.export]
    rows = {each["token"]: each["state"] for each in told if each["is"] == "row"}
    known = OperationToken.objects.all()
    return {row.public_id: rows[row.token_hash] for row in known}


def test_what_was_redeemed_stays_redeemed_and_the_next_slot_opens(night: Night) -> None:
    done = restore_ledger(night.export, reason=REASON)

    assert done.held == []
    assert states() == told_states(night)
    with pytest.raises(SlotAlreadyRedeemed) as refused:
        mandates.redeem(night.world, night.known, "again", occurrence=night.second.redemption.slot)
    assert refused.value.redemption_id == night.second.redemption.pk
    assert mandates.redeem(night.world, night.known, "next").proceed
    lost, sealed = newest_checkpoint(), Sealing().look()
    assert lost is not None
    assert sealed.head is not None
    assert sealed.head.epoch == lost.head.epoch
    assert findings() == []
    with pytest.raises(NothingToReconcile):
        restore_ledger(night.export, reason=REASON)


def test_rows_are_those_that_were_lost(night: Night) -> None:
    restore_ledger(night.export, reason=REASON)

    rows = {row.slot: row for row in Redemption.objects.filter(operation_token=night.known.row)}
    assert [rows[slot].status for slot in ("p0.0", "p0.1", "p0.2")] == [
        RedemptionStatus.SETTLED,
        RedemptionStatus.RESERVED,
        RedemptionStatus.RELEASED,
    ]
    assert (rows["p0.0"].reference, rows["p0.2"].releases) == ("bank-1", 1)
    second = night.second.redemption
    assert (rows["p0.1"].reserved_at, rows["p0.1"].lease_expires_at, rows["p0.1"].counts_at) == (
        second.reserved_at,
        second.lease_expires_at,
        second.counts_at,
    )
    cancelled = OperationToken.objects.get(pk=night.cancelled.row.pk)
    assert cancelled.cancelled_at is not None
    assert cancelled.cancellation


def test_a_token_without_a_row_is_not_valid_and_its_chain_is_kept(night: Night) -> None:
    restore_ledger(night.export, reason=REASON)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(night.world, night.unknown, "late")
    lost = LedgerEntry.objects.filter(lost_token=night.unknown.row.token_hash).order_by("seq")
    assert [entry.kind for entry in lost] == ["issued", "reserved"]
    again = ledgers.issue_daily(night.world)
    assert again.row.status_list_id != night.unknown.row.status_list_id
    lost_head = newest_checkpoint()
    assert lost_head is not None
    assert verify_export(list(export_ledger()), anchors=[lost_head.token]).findings == []


def test_the_days_account_is_what_it_was_also_of_a_token_without_a_row(night: Night) -> None:
    restore_ledger(night.export, reason=REASON)

    unknown = night.unknown.row
    told = {
        name: {**line, "operation": unknown.token_hash}
        if line["operation"] == unknown.public_id
        else line
        for name, line in night.account.items()
    }
    assert len(told) == 5
    assert account(night.second.redemption.reserved_at.date()) == told


def test_a_preview_tells_it_and_changes_nothing(night: Night) -> None:
    before = LedgerEntry.objects.count(), LedgerLeaf.objects.count(), states()

    told = {chain.id: chain for chain in preview_restore(night.export).chains}

    assert told[night.known.row.public_id].kinds == "settled reserved reserved released"
    assert not told[night.unknown.row.token_hash].known
    assert (LedgerEntry.objects.count(), LedgerLeaf.objects.count(), states()) == before
    with pytest.raises(LedgerBehind):
        mandates.redeem(night.world, night.known, "again")


def test_a_changed_entry_is_named_and_nothing_is_believed(night: Night) -> None:
    before = LedgerEntry.objects.count()
    changed, seq = with_a_changed_entry(night.export, night.known.row.token_hash)

    with pytest.raises(LedgerNotValid) as refused:
        restore_ledger(changed, reason=REASON)

    assert f"{night.known.row.public_id} entry {seq}:" in refused.value.detail
    assert LedgerEntry.objects.count() == before


def test_an_export_that_does_not_reach_or_not_hold_the_head_outside_is_refused(
    night: Night,
) -> None:
    """A loss that the file declares gives no head up: or any other past would be believed."""
    lost = newest_checkpoint()
    assert lost is not None

    with pytest.raises(LedgerBehind):
        restore_ledger(without_the_last_leaf(night.export), reason=REASON)
    with pytest.raises(LedgerNotValid):
        restore_ledger(with_another_past(night.export, lost.head), reason=REASON)


def test_a_chain_that_went_on_by_itself_is_named(night: Night) -> None:
    """What was stopped meanwhile is not to be forgotten: the operator repeats it."""
    hold_operation(operation_id=night.known.row.pk, by=HoldKind.USER)
    before = LedgerEntry.objects.count()

    with pytest.raises(LedgerBroken) as refused:
        restore_ledger(night.export, reason=REASON)

    assert night.known.row.public_id in refused.value.detail
    assert LedgerEntry.objects.count() == before


def test_what_no_head_vouches_for_is_held_and_not_applied(night: Night) -> None:
    """An entry of the last second is in the export, but was not sealed."""
    export = with_a_last_second(night.export, night.known.row.token_hash)

    done = restore_ledger(export, reason=REASON)

    assert done.held == [night.known.row.public_id]
    with pytest.raises(OperationHeld):
        mandates.redeem(night.world, night.known, "next")
    assert findings() == []


def test_a_consent_that_a_token_of_the_last_second_may_have_spent_is_over(
    settings: Any, tmp_path: Path
) -> None:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.exact()
    consent = mandates.consent(world)
    OperationType.objects.update(consent="scope")
    world.kind.refresh_from_db()
    known = ledgers.issue_daily(world)
    Sealing().look()
    with copied(tmp_path) as put_back:
        mandates.redeem(world, known, "first")
        Sealing().look()
        export = list(export_ledger())
        put_back()
        forget_sink()
        forget_key_ring()

        restore_ledger(
            with_an_issue_of_the_last_second(export, known.row.token_hash), reason=REASON
        )

        consent.refresh_from_db()
        assert consent.expires_at <= database_now()


def test_decisions_about_keys_executors_and_types_are_repeated(night: Night) -> None:
    executor, kind = night.world.redeemer, night.world.kind
    kid = retired_key()

    restore_ledger(night.export, reason=REASON)

    assert SigningKey.objects.get(kid=kid).retired_at is not None
    assert ExecutorControl.objects.get(executor=executor).stopped_at is None
    assert OperationType.objects.get(pk=kind.pk).is_active
