"""POST /api/v1/redemptions: at most one accepted redemption a slot (I1)."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from accounts.models import SecurityEvent, ServiceClient
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import OperationToken, Redemption, RedemptionAttempt
from batchtokens.models.operation_tokens import HoldKind
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens_verifier.receipts import verify_receipt
from tests import mandates
from tests.rest import REDEMPTIONS, Caller, code_of, end_leases, job, person, redeem

pytestmark = pytest.mark.django_db


class TestRedeem:
    def test_reserves_a_slot(self, executor: Caller, issued: Issued) -> None:
        answer = redeem(executor, issued)

        shown = answer.json()
        assert answer.status_code == 201
        assert (shown["status"], shown["slot"], shown["attempt"]) == ("reserved", "p0", 1)
        assert shown["proceed"] is True
        assert shown["amount"] == mandates.OPERATION["amount"]
        assert shown["remaining"]["period"] == {"amount": "0.00", "currency": "USD"}
        assert Redemption.objects.get().pk == shown["redemption_id"]

    def test_proves_it_with_a_receipt(self, executor: Caller, issued: Issued) -> None:
        shown = redeem(executor, issued).json()

        receipt = verify_receipt(
            shown["receipt"],
            keys=current_key_ring().verification_keys(),
            issuer=settings.ISSUER_URL,
            audience="savings",
        )
        assert receipt.redemption_id == shown["redemption_id"]

    def test_repeats_the_first_answer_for_a_known_key(
        self, executor: Caller, issued: Issued
    ) -> None:
        first = redeem(executor, issued)
        again = redeem(executor, issued)

        assert (again.status_code, again.json()) == (200, first.json())
        assert RedemptionAttempt.objects.count() == 1

    def test_stops_permitting_when_the_lease_has_ended(
        self, executor: Caller, issued: Issued
    ) -> None:
        first = redeem(executor, issued).json()
        end_leases()

        again = redeem(executor, issued).json()

        assert (again["proceed"], again["status"]) == (False, "in_doubt")
        assert again["receipt"] == first["receipt"]

    def test_stops_permitting_after_a_cancel(self, executor: Caller, issued: Issued) -> None:
        redeem(executor, issued)
        cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

        assert redeem(executor, issued).json()["proceed"] is False

    def test_refuses_a_known_key_with_another_body(self, executor: Caller, issued: Issued) -> None:
        redeem(executor, issued)

        answer = redeem(executor, issued, occurrence="p0")

        assert code_of(answer) == (422, "idempotency_mismatch")

    def test_refuses_a_taken_slot_and_names_its_redemption(
        self, executor: Caller, issued: Issued
    ) -> None:
        first = redeem(executor, issued).json()

        answer = redeem(executor, issued, "run-2")

        assert code_of(answer) == (409, "slot_already_redeemed")
        assert answer.json()["redemption_id"] == first["redemption_id"]
        assert executor.get(f"{REDEMPTIONS}/{first['redemption_id']}").status_code == 200

    def test_leases_a_slot_in_doubt_again(self, executor: Caller, issued: Issued) -> None:
        first = redeem(executor, issued).json()
        end_leases()

        answer = redeem(executor, issued, "run-2")

        assert (answer.status_code, answer.json()["attempt"]) == (200, 2)
        assert answer.json()["redemption_id"] == first["redemption_id"]
        assert OperationToken.objects.get().taken_count == 1

    def test_needs_an_idempotency_key(self, executor: Caller, issued: Issued) -> None:
        answer = executor.post(REDEMPTIONS, job(issued))

        assert code_of(answer) == (400, "idempotency_key_missing")

    @pytest.mark.parametrize(
        "tampered", [{"creditor_account": "sav-6666"}, {"extra": "member"}, {"action": "savings.x"}]
    )
    def test_refuses_a_tampered_copy(
        self, executor: Caller, issued: Issued, tampered: dict[str, Any]
    ) -> None:
        answer = redeem(executor, issued, operation=mandates.OPERATION | tampered)

        assert code_of(answer) == (403, "operation_mismatch")
        assert Redemption.objects.count() == 0

    def test_refuses_another_amount(self, executor: Caller, issued: Issued) -> None:
        answer = redeem(executor, issued, amount={"amount": "50.01", "currency": "USD"})

        assert code_of(answer) == (403, "operation_mismatch")

    def test_records_a_refusal_once(self, executor: Caller, issued: Issued) -> None:
        for _ in range(2):
            redeem(executor, issued, operation=mandates.OPERATION | {"reference": "x"})

        assert SecurityEvent.objects.get(code="operation_mismatch").data == {"run": "run-1"}

    def test_refuses_another_executors_token(self, other: Caller, issued: Issued) -> None:
        assert code_of(redeem(other, issued)) == (403, "operation_token_not_valid")

    @pytest.mark.parametrize("change", ["x", " ", "="])
    def test_refuses_bytes_that_were_not_issued(
        self, executor: Caller, issued: Issued, change: str
    ) -> None:
        answer = redeem(executor, issued, operation_token=issued.token + change)

        assert code_of(answer) == (403, "operation_token_not_valid")

    def test_refuses_a_held_operation(self, executor: Caller, issued: Issued) -> None:
        hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)

        assert code_of(redeem(executor, issued)) == (403, "operation_held")

    def test_refuses_while_the_person_is_disabled(
        self, world: mandates.Savings, executor: Caller, issued: Issued
    ) -> None:
        world.alice.is_active = False
        world.alice.save()

        assert code_of(redeem(executor, issued)) == (403, "operation_held")

    def test_refuses_a_disabled_executor(self, executor: Caller, issued: Issued) -> None:
        ServiceClient.objects.filter(client_id="savings").update(is_active=False)

        assert code_of(redeem(executor, issued)) == (401, "invalid_client")

    @pytest.mark.parametrize("occurrence", ["p1", "p0.0", "o0", "x", "p01", "p-1"])
    def test_refuses_an_occurrence_that_is_not_open(
        self, executor: Caller, issued: Issued, occurrence: str
    ) -> None:
        answer = redeem(executor, issued, occurrence=occurrence)

        assert code_of(answer) == (403, "outside_validity")

    def test_is_for_clients_that_may_redeem(
        self, world: mandates.Savings, trigger: Caller, issued: Issued
    ) -> None:
        assert code_of(redeem(trigger, issued)) == (403, "insufficient_scope")
        assert code_of(redeem(person(world.alice), issued)) == (403, "permission_denied")


class TestVariableAmount:
    @pytest.fixture
    def open_amount(self, world: mandates.Savings) -> Issued:
        operation = {k: v for k, v in mandates.OPERATION.items() if k != "amount"}
        cap = {"amount": "50.00", "currency": "USD"}
        return mandates.issue(world, operation=operation, max_individual_amount=cap)

    def ask(self, executor: Caller, issued: Issued, amount: str | None) -> Any:
        operation = issued.row.details["operation"]
        named: dict[str, Any] = {"amount": {"amount": amount, "currency": "USD"}} if amount else {}
        return redeem(executor, issued, operation=operation, **named)

    def test_is_named_by_the_executor(self, executor: Caller, open_amount: Issued) -> None:
        answer = self.ask(executor, open_amount, "12.34")

        assert answer.json()["amount"] == {"amount": "12.34", "currency": "USD"}
        assert Redemption.objects.get().amount_minor == 1234

    def test_may_not_pass_the_cap(self, executor: Caller, open_amount: Issued) -> None:
        answer = self.ask(executor, open_amount, "50.01")

        assert code_of(answer) == (403, "limit_exceeded")

    def test_is_needed(self, executor: Caller, open_amount: Issued) -> None:
        answer = self.ask(executor, open_amount, None)

        assert code_of(answer) == (403, "unresolved_constraint")
