"""/api/v1/operations/{id}/hold, resume and cancel: who may, and what stays (I6, I10, I16)."""

from __future__ import annotations

import pytest

from batchtokens.models import LedgerEntry, OperationToken, QueuedRun
from batchtokens.models.operation_tokens import HoldKind
from batchtokens.services.mandates.hold import hold_operation
from tests import factories, mandates
from tests.rest import OPERATIONS, Caller, ask, code_of, person, same_words

pytestmark = pytest.mark.django_db

VERBS = ("hold", "resume", "cancel")


def row_of(path: str) -> OperationToken:
    return OperationToken.objects.get(pk=path.rpartition("op_")[2])


def kinds() -> list[str]:
    return list(LedgerEntry.objects.of_operations().order_by("id").values_list("kind", flat=True))


class TestHold:
    def test_is_written_to_the_ledger(self, alice: Caller, operation: str) -> None:
        answer = alice.post(f"{operation}/hold", {"reason": "moving house"})

        assert (answer.status_code, answer.json()["status"]) == (200, "held")
        assert row_of(operation).holds == ["user"]
        assert kinds() == ["issued", "held"]

    def test_twice_changes_nothing(self, alice: Caller, operation: str) -> None:
        alice.post(f"{operation}/hold")

        assert alice.post(f"{operation}/hold").status_code == 200
        assert kinds() == ["issued", "held"]

    def test_of_a_trigger_stands_beside_that_of_the_owner(
        self, alice: Caller, trigger: Caller, triggered: str
    ) -> None:
        alice.post(f"{triggered}/hold")
        trigger.post(f"{triggered}/hold")

        assert row_of(triggered).holds == ["client", "user"]

    def test_is_open_to_whoever_may_ask_for_it(self, world: mandates.Savings) -> None:
        app = person(world.alice, scope=f"{mandates.META_SCOPE} profile")

        assert app.post(f"{ask(app)}/hold").status_code == 200

    @pytest.mark.parametrize("verb", VERBS)
    def test_needs_more_than_reading(
        self, world: mandates.Savings, operation: str, verb: str
    ) -> None:
        reader = person(world.alice, scope="profile")

        assert code_of(reader.post(f"{operation}/{verb}")) == (403, "insufficient_scope")
        assert kinds() == ["issued"]


class TestResume:
    def test_lifts_ones_own_hold(self, alice: Caller, operation: str) -> None:
        alice.post(f"{operation}/hold")

        assert alice.post(f"{operation}/resume").json()["status"] == "active"
        assert kinds() == ["issued", "held", "resumed"]

    def test_needs_a_hold(self, alice: Caller, operation: str) -> None:
        assert code_of(alice.post(f"{operation}/resume")) == (409, "hold_not_allowed")

    @pytest.mark.parametrize("setter", [HoldKind.CLIENT, HoldKind.STAFF, HoldKind.SYSTEM])
    def test_leaves_another_kinds_hold(
        self, alice: Caller, triggered: str, setter: HoldKind
    ) -> None:
        hold_operation(operation_id=row_of(triggered).pk, by=setter)

        assert code_of(alice.post(f"{triggered}/resume")) == (409, "hold_not_allowed")
        assert row_of(triggered).holds == [setter]

    def test_by_the_trigger_leaves_the_owners_hold(
        self, alice: Caller, trigger: Caller, triggered: str
    ) -> None:
        alice.post(f"{triggered}/hold")

        assert code_of(trigger.post(f"{triggered}/resume")) == (409, "hold_not_allowed")
        assert row_of(triggered).holds == ["user"]


class TestCancel:
    def test_is_final_and_sets_the_runs_aside(self, alice: Caller, operation: str) -> None:
        assert alice.post(f"{operation}/cancel").json()["status"] == "cancelled"

        for verb in VERBS:
            assert code_of(alice.post(f"{operation}/{verb}")) == (409, "operation_final")
        assert QueuedRun.objects.get().state == "dead"
        assert kinds() == ["issued", "cancelled"]

    def test_is_open_to_the_trigger(self, trigger: Caller, triggered: str) -> None:
        assert trigger.post(f"{triggered}/cancel").json()["status"] == "cancelled"

        assert '"by":"client"' in LedgerEntry.objects.get(kind="cancelled").entry


@pytest.mark.parametrize("verb", VERBS)
def test_no_stranger_changes_anything(operation: str, verb: str) -> None:
    bob = person(factories.bob())

    theirs = bob.post(f"{operation}/{verb}")
    nobodys = bob.post(f"{OPERATIONS}/op_{'0' * 32}/{verb}")

    assert code_of(theirs) == (404, "not_found")
    assert same_words(theirs.json()) == same_words(nobodys.json())
    assert kinds() == ["issued"]
