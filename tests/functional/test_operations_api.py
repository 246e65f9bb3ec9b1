"""/api/v1/operations: ask for a mandate, list one's own, look at one and at what happened to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from batchtokens.models import OperationToken, QueuedRun
from tests import factories, insiders, mandates
from tests.rest import (
    OPERATIONS,
    Caller,
    ask,
    code_of,
    machine,
    operation_body,
    person,
    same_words,
)

pytestmark = pytest.mark.django_db


class TestCreate:
    def test_issues_and_queues_at_once(self, alice: Caller) -> None:
        answer = alice.post(OPERATIONS, operation_body())

        shown = answer.json()
        assert answer.status_code == 201
        assert (shown["status"], shown["client_id"]) == ("active", "first-party")
        assert shown["operation"] == mandates.OPERATION
        assert shown["parameter_digest"] == "sha-256:hCjL5d8Qmhn8lzFf-BvGcIk96bpt1ADjPJ3kwnzYpSY"
        assert shown["next_run_at"] == shown["valid_from"]
        assert QueuedRun.objects.get().occurrence == "p0"

    def test_hands_no_token_out(self, alice: Caller) -> None:
        answer = alice.post(OPERATIONS, operation_body())

        assert b"eyJ" not in answer.content
        run = QueuedRun.objects.get()
        signature = insiders.open_job(run).operation_token.rpartition(".")[2]
        assert signature.encode() not in bytes(run.sealed)

    def test_queues_one_run_for_each_due_time(self, alice: Caller) -> None:
        limits = mandates.constraints(
            schedule="FREQ=DAILY;COUNT=5", due_window="PT1H", periodic_limits=None
        )

        answer = alice.post(OPERATIONS, operation_body(constraints=limits))

        assert answer.json()["consumption"]["occurrences"] == 5
        assert QueuedRun.objects.count() == 5

    def test_answers_a_repeated_key_with_the_same_operation(self, alice: Caller) -> None:
        body = operation_body()

        first = alice.post(OPERATIONS, body, key="k1")
        again = alice.post(OPERATIONS, body, key="k1")

        assert (again.status_code, again.json()) == (201, first.json())
        assert OperationToken.objects.count() == QueuedRun.objects.count() == 1

    def test_refuses_a_key_with_another_body(self, alice: Caller) -> None:
        ask(alice, key="k1")
        shorter = operation_body(constraints=mandates.constraints(valid_to=mandates.in_days(9)))

        answer = alice.post(OPERATIONS, shorter, key="k1")

        assert code_of(answer) == (422, "idempotency_mismatch")
        assert OperationToken.objects.count() == 1

    def test_keeps_the_keys_of_two_people_apart(self, alice: Caller) -> None:
        bob = person(factories.bob(may_ask_for=[mandates.META_SCOPE]))

        assert ask(alice, key="k1") != ask(bob, key="k1")

    def test_needs_the_meta_scope(self, world: mandates.Savings) -> None:
        answer = person(world.alice, scope="profile account").post(OPERATIONS, operation_body())

        assert code_of(answer) == (403, "insufficient_scope")
        assert mandates.META_SCOPE in answer.json()["detail"]

    def test_refuses_a_token_for_another_audience(self, world: mandates.Savings) -> None:
        caller = Caller(factories.bearer(mandates.subject_token(world)))

        assert code_of(caller.post(OPERATIONS, operation_body())) == (401, "token_not_valid")

    def test_is_not_for_service_clients(self, trigger: Caller) -> None:
        answer = trigger.post(OPERATIONS, operation_body())

        assert code_of(answer) == (403, "permission_denied")

    def test_refuses_a_stale_sign_in_where_the_type_wants_a_fresh_one(self) -> None:
        alice = mandates.savings(max_authentication_age=60).alice
        with time_machine.travel(datetime.now(UTC) - timedelta(minutes=5)):
            caller = person(alice)

        answer = caller.post(OPERATIONS, operation_body())

        assert code_of(answer) == (401, "insufficient_user_authentication")
        assert "max_age=" in answer.headers["WWW-Authenticate"]

    def test_refuses_one_factor_where_the_type_wants_two(self) -> None:
        alice = mandates.savings(required_acr="aal2").alice

        answer = person(alice).post(OPERATIONS, operation_body())

        assert code_of(answer) == (401, "insufficient_user_authentication")
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_user_authentication", acr_values="aal2"' in challenge
        assert "max_age" not in challenge
        ask(person(alice, amr=["pwd", "otp", "mfa"]))

    def test_stops_at_the_cap_of_live_mandates(self) -> None:
        alice = person(mandates.savings(max_live_mandates=1).alice)
        ask(alice)

        answer = alice.post(OPERATIONS, operation_body())

        assert code_of(answer) == (403, "mandate_limit_reached")


class TestList:
    def test_shows_ones_own_newest_first(self, alice: Caller) -> None:
        older, newer = ask(alice), ask(alice)

        answer = alice.get(OPERATIONS)

        assert [f"{OPERATIONS}/{shown['id']}" for shown in answer.json()["results"]] == [
            newer,
            older,
        ]

    def test_shows_a_trigger_what_it_triggered(
        self, trigger: Caller, triggered: str, operation: str
    ) -> None:
        (shown,) = trigger.get(OPERATIONS).json()["results"]

        assert f"{OPERATIONS}/{shown['id']}" == triggered

    def test_shows_a_stranger_nothing(self, operation: str) -> None:
        bob = person(factories.bob())

        assert bob.get(OPERATIONS).json() == {"next": None, "previous": None, "results": []}

    @pytest.mark.parametrize(("status", "count"), [("active", 1), ("held", 1), ("expired", 0)])
    def test_filters_by_status(self, alice: Caller, status: str, count: int) -> None:
        ask(alice)
        alice.post(f"{ask(alice)}/hold")

        found = alice.get(OPERATIONS, status=status).json()["results"]

        assert [shown["status"] for shown in found] == [status] * count

    @pytest.mark.parametrize(("name", "count"), [("savings.deposit", 1), ("savings.other", 0)])
    def test_filters_by_type(self, alice: Caller, operation: str, name: str, count: int) -> None:
        assert len(alice.get(OPERATIONS, type=name).json()["results"]) == count

    def test_pages_by_cursor_without_loss_or_repetition(self, alice: Caller) -> None:
        created = {ask(alice) for _ in range(5)}

        seen, page = [], alice.get(OPERATIONS, page_size="2").json()
        while page["next"]:
            seen += page["results"]
            page = alice.get(page["next"]).json()
        seen += page["results"]

        assert len(seen) == 5
        assert {f"{OPERATIONS}/{shown['id']}" for shown in seen} == created

    @pytest.mark.parametrize("scope", ["redeem", "introspect"])
    def test_needs_a_scope_that_reads(self, world: mandates.Savings, scope: str) -> None:
        other = factories.service_client("other", scopes=[scope])

        assert code_of(machine(other).get(OPERATIONS)) == (403, "insufficient_scope")


class TestDetail:
    def test_shows_everything_that_was_agreed(self, alice: Caller, operation: str) -> None:
        shown = alice.get(operation).json()

        assert shown["summary"].startswith("Deposit 50.00 USD from “chk-1042” into “sav-7781”")
        assert shown["constraints"]["valid_to"] == shown["expires_at"]
        assert shown["consumption"]["redeemed"] == 0

    def test_tells_the_owner_and_the_trigger_the_same(
        self, alice: Caller, trigger: Caller, triggered: str
    ) -> None:
        assert alice.get(triggered).json() == trigger.get(triggered).json()

    @pytest.mark.parametrize("part", ["", "/timeline"])
    def test_answers_strangers_as_if_it_did_not_exist(self, operation: str, part: str) -> None:
        bob = person(factories.bob())

        theirs = bob.get(operation + part)
        nobodys = bob.get(f"{OPERATIONS}/op_{'0' * 32}{part}")

        assert code_of(theirs) == (404, "not_found")
        assert same_words(theirs.json()) == same_words(nobodys.json())

    def test_answers_another_trigger_as_if_it_did_not_exist(self, triggered: str) -> None:
        other = factories.service_client("other", scopes=["token_exchange"])

        assert code_of(machine(other).get(triggered)) == (404, "not_found")


class TestTimeline:
    def test_shows_the_ledger_newest_first(self, alice: Caller, operation: str) -> None:
        alice.post(f"{operation}/hold", {"reason": "moving house"})

        newest, oldest = alice.get(f"{operation}/timeline").json()["results"]

        assert (oldest["kind"], oldest["seq"]) == ("issued", 1)
        assert (newest["kind"], newest["details"]["by"]) == ("held", "user")
        assert newest["note"] == "moving house"
