"""Who decided what the authority's own chain tells, and why: digests there, the words in the log.

ADR 0040.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Decision, SecurityEvent, SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.tokens.keyring import shortest_overlap
from batchtokens.models import EntryKind, LedgerEntry, append_authority_entry
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.find_decision import find_decision
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.stop_executor import (
    start_executor,
    stop_executor,
    trip_breaker,
)
from tests import mandates

pytestmark = pytest.mark.django_db

REASON = "Alice Example of the bank telephoned"
ACTOR = "operator:olga"
WHO: dict[str, Any] = {"reason": REASON, "actor": ACTOR}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def stop(world: mandates.Savings) -> None:
    stop_executor(executor=world.redeemer, **WHO)


def start(world: mandates.Savings) -> None:
    stop_executor(executor=world.redeemer, reason="another", actor="operator:paul")
    start_executor(executor=world.redeemer, **WHO)


def cap(world: mandates.Savings) -> None:
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=5), **WHO)


def switch_off(world: mandates.Savings) -> None:
    switch_operation_type(name=world.kind.name, is_active=False, **WHO)


def switch_on(world: mandates.Savings) -> None:
    switch_operation_type(name=world.kind.name, is_active=False, reason="another", actor="usr_1")
    switch_operation_type(name=world.kind.name, is_active=True, **WHO)


def retire(world: mandates.Savings) -> None:
    retire_signing_key(kid=mandates.issue(world).row.kid, **WHO)


def disown(world: mandates.Savings) -> None:
    retire_signing_key(kid=mandates.issue(world).row.kid, compromised=True, **WHO)


DECIDED: dict[EntryKind, Callable[[mandates.Savings], None]] = {
    EntryKind.EXECUTOR_STOPPED: stop,
    EntryKind.EXECUTOR_STARTED: start,
    EntryKind.EXECUTOR_CAPPED: cap,
    EntryKind.TYPE_STOPPED: switch_off,
    EntryKind.TYPE_STARTED: switch_on,
    EntryKind.KEY_RETIRED: retire,
    EntryKind.KEY_COMPROMISED: disown,
}


def entry_of(kind: EntryKind) -> LedgerEntry:
    return LedgerEntry.objects.filter(operation_token=None, kind=kind).latest("seq")


def data_of(entry: LedgerEntry) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(entry.entry)["data"]
    return data


@pytest.mark.parametrize("kind", DECIDED)
class TestEachDecision:
    def test_leaves_no_word_in_the_ledger(self, world: mandates.Savings, kind: EntryKind) -> None:
        DECIDED[kind](world)

        own = LedgerEntry.objects.filter(operation_token=None)
        texts = [text for entry in own for text in (entry.entry, entry.note)]
        assert texts
        assert [text for text in texts if REASON in text or "olga" in text] == []

    def test_can_be_checked_by_who_knows_the_words(
        self, world: mandates.Savings, kind: EntryKind
    ) -> None:
        DECIDED[kind](world)

        data = data_of(entry_of(kind))
        event = SecurityEvent.objects.get(data__by=ACTOR, data__reason=REASON)
        known = Decision("staff", ACTOR, REASON, salt=bytes.fromhex(event.data["salt"]))
        assert data.items() >= known.told().items()
        assert known.told().keys() == {"by", "actor", "note"}

    def test_is_found_and_a_changed_word_shows(
        self, world: mandates.Savings, kind: EntryKind
    ) -> None:
        DECIDED[kind](world)
        entry = entry_of(kind)

        found = find_decision(entry)
        assert found is not None
        assert (found.actor, found.reason, found.is_as_recorded) == (ACTOR, REASON, True)

        event = SecurityEvent.objects.get(data__by=ACTOR, data__reason=REASON)
        SecurityEvent.objects.filter(pk=event.pk).update(data=event.data | {"by": "operator:paul"})
        changed = find_decision(entry)
        assert changed is not None
        assert not changed.is_as_recorded

    def test_verifies(self, world: mandates.Savings, kind: EntryKind) -> None:
        DECIDED[kind](world)

        assert [findings for _, findings in verify_ledger() if findings] == []


def test_an_erased_word_leaves_the_ledger_as_it_was(world: mandates.Savings) -> None:
    stop(world)
    SecurityEvent.objects.all().delete()

    assert find_decision(entry_of(EntryKind.EXECUTOR_STOPPED)) is None
    assert [findings for _, findings in verify_ledger() if findings] == []


def test_two_decisions_for_one_reason_look_different(world: mandates.Savings) -> None:
    stop(world)
    start_executor(executor=world.redeemer, **WHO)

    stopped = data_of(entry_of(EntryKind.EXECUTOR_STOPPED))
    started = data_of(entry_of(EntryKind.EXECUTOR_STARTED))
    assert stopped["note"] != started["note"]
    assert stopped["actor"] != started["actor"]


def test_a_new_key_names_who_made_it(world: mandates.Savings) -> None:
    rotate_signing_keys(overlap=shortest_overlap(), actor=ACTOR)

    own = LedgerEntry.objects.filter(operation_token=None, kind=EntryKind.KEY_ADDED)
    found = [find_decision(entry) for entry in own.order_by("-seq")[:2]]
    assert [each.actor for each in found if each] == [ACTOR, ACTOR]


def test_the_first_keys_are_the_systems() -> None:
    ensure_signing_keys()

    entry = entry_of(EntryKind.KEY_ADDED)
    assert data_of(entry)["by"] == "system"
    assert find_decision(entry) is None
    assert SigningKey.objects.filter(kid=data_of(entry)["kid"]).exists()


def test_the_breaker_names_its_cap_and_nobody(world: mandates.Savings) -> None:
    trip_breaker(executor=world.redeemer, cap="executor_use_count_within_cap")

    data = data_of(entry_of(EntryKind.EXECUTOR_STOPPED))
    assert data == {
        "by": "breaker",
        "executor": "savings",
        "cap": "executor_use_count_within_cap",
    }


def test_former_entries_stay_valid(world: mandates.Savings) -> None:
    for data in (
        {"type": "savings.deposit", "reason": "a fault"},
        {"by": "staff", "executor": "savings"},
        {"kid": "x", "purpose": "operation", "thumbprint": "x"},
    ):
        append_authority_entry(EntryKind.TYPE_STOPPED, at=database_now(), data=data)
        assert find_decision(entry_of(EntryKind.TYPE_STOPPED)) is None
    stop(world)

    assert [findings for _, findings in verify_ledger() if findings] == []
