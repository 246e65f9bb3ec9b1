"""/api/v1/redemptions/{id}, settle and release: what the executor says it did."""

from __future__ import annotations

from typing import Any

import pytest

from batchtokens.models import OperationToken, Redemption
from batchtokens.models.operation_tokens import HoldKind
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.revoke import cancel_operation
from tests.rest import REDEMPTIONS, Caller, code_of, end_leases, redeem, same_words

pytestmark = pytest.mark.django_db


def redeemed(executor: Caller, issued: Issued) -> str:
    """Redeem; return the redemption's path."""
    answer = redeem(executor, issued)
    assert answer.status_code == 201, answer.content
    return f"{REDEMPTIONS}/{answer.json()['redemption_id']}"


class TestDetail:
    def test_shows_what_became_of_it(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)
        end_leases()

        assert executor.get(path).json()["status"] == "in_doubt"

    @pytest.mark.parametrize(
        ("verb", "body"),
        [("", None), ("/settle", {"attempt": 1}), ("/release", {"attempt": 1, "reason": "x"})],
    )
    def test_does_not_exist_for_another_executor(
        self, executor: Caller, other: Caller, issued: Issued, verb: str, body: Any
    ) -> None:
        path, nobodys = redeemed(executor, issued), f"{REDEMPTIONS}/rdm_{'A' * 43}"

        theirs = other.post(path + verb, body) if verb else other.get(path)
        absent = other.post(nobodys + verb, body) if verb else other.get(nobodys)

        assert code_of(theirs) == (404, "not_found")
        assert same_words(theirs.json()) == same_words(absent.json())


class TestSettle:
    def test_records_the_fact(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)

        answer = executor.post(f"{path}/settle", {"attempt": 1, "reference": "tx-1"})

        assert (answer.status_code, answer.json()["status"]) == (200, "settled")
        assert answer.json()["receipt"].startswith("eyJ")
        assert Redemption.objects.get().reference == "tx-1"
        assert OperationToken.objects.get().settled_count == 1

    def test_twice_gets_the_same_receipt(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)

        first, again = (executor.post(f"{path}/settle", {"attempt": 1}) for _ in range(2))

        assert first.json() == again.json()
        assert OperationToken.objects.get().settled_count == 1

    def test_is_accepted_after_the_lease_and_a_cancel(
        self, executor: Caller, issued: Issued
    ) -> None:
        path = redeemed(executor, issued)
        end_leases()
        cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

        assert executor.post(f"{path}/settle", {"attempt": 1}).json()["status"] == "settled"

    def test_by_a_zombie_is_refused(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)
        end_leases()
        redeem(executor, issued, "run-2")

        assert code_of(executor.post(f"{path}/settle", {"attempt": 1})) == (409, "lease_lost")
        assert executor.post(f"{path}/settle", {"attempt": 2}).status_code == 200

    def test_excludes_release(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)
        executor.post(f"{path}/settle", {"attempt": 1})

        answer = executor.post(f"{path}/release", {"attempt": 1, "reason": "no"})

        assert code_of(answer) == (409, "lease_lost")


class TestRelease:
    def release(self, executor: Caller, path: str, attempt: int = 1) -> Any:
        return executor.post(f"{path}/release", {"attempt": attempt, "reason": "bank is closed"})

    def test_frees_the_slot(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)

        assert self.release(executor, path).json()["status"] == "released"
        assert OperationToken.objects.get().taken_count == 0
        assert redeem(executor, issued, "run-2").json()["attempt"] == 2

    def test_excludes_settling(self, executor: Caller, issued: Issued) -> None:
        path = redeemed(executor, issued)
        self.release(executor, path)

        assert code_of(executor.post(f"{path}/settle", {"attempt": 1})) == (409, "lease_lost")

    def test_needs_a_reason(self, executor: Caller, issued: Issued) -> None:
        answer = executor.post(f"{redeemed(executor, issued)}/release", {"attempt": 1})

        assert code_of(answer) == (400, "invalid")
        assert answer.json()["errors"][0]["pointer"] == "/reason"

    def test_works_three_times_and_then_staff_decides(
        self, executor: Caller, issued: Issued
    ) -> None:
        path = redeemed(executor, issued)
        for attempt in (1, 2, 3):
            assert self.release(executor, path, attempt).status_code == 200
            redeem(executor, issued, f"again-{attempt}")

        assert code_of(self.release(executor, path, 4)) == (409, "release_limit_reached")
