"""POST /api/v1/operations/{id}/token: a trigger fetches what was signed anew."""

from __future__ import annotations

import pytest

from accounts.models import SecurityEvent
from accounts.services.retire_signing_key import retire_signing_key
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from tests import factories, mandates
from tests.rest import OPERATIONS, QUEUE, Caller, code_of, machine, person, redeem
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(issued: Issued) -> str:
    return f"{OPERATIONS}/{issued.row.public_id}/token"


@pytest.fixture
def reissued(issued: Issued) -> Issued:
    retire_signing_key(kid=issued.row.kid, reason="drill", compromised=True)
    list(reissue_operations(among=reissuable(), reason="all honest"))
    return issued


def test_its_trigger_fetches_and_its_executor_redeems_it(
    trigger: Caller, executor: Caller, reissued: Issued, path: str
) -> None:
    answer = trigger.post(path)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    new = Issued(answer.json()["operation_token"], reissued.row)
    assert claims_of(new.token) == claims_of(reissued.token)
    assert code_of(redeem(executor, reissued)) == (403, "operation_token_not_valid")
    assert redeem(executor, new, "run-2").status_code == 201


def test_the_old_bytes_cannot_be_queued_the_new_ones_can(
    trigger: Caller, reissued: Issued, path: str
) -> None:
    job = {"operation_token": reissued.token, "operation": mandates.OPERATION}
    assert code_of(trigger.post(QUEUE, job)) == (403, "operation_token_not_valid")

    job["operation_token"] = trigger.post(path).json()["operation_token"]

    assert trigger.post(QUEUE, job).status_code == 201


def test_again_is_the_same_and_is_recorded_once(
    trigger: Caller, reissued: Issued, path: str
) -> None:
    answers = [trigger.post(path).json() for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    assert SecurityEvent.objects.filter(code="reissued_token_fetched").count() == 1


def test_there_is_nothing_to_fetch_before(trigger: Caller, issued: Issued, path: str) -> None:
    assert code_of(trigger.post(path)) == (409, "no_new_token")


def test_others_do_not_learn_that_it_exists(
    world: mandates.Savings, executor: Caller, reissued: Issued, path: str
) -> None:
    stranger = machine(factories.service_client("stranger", scopes=["token_exchange"]))

    assert code_of(stranger.post(path)) == (404, "not_found")
    assert executor.post(path).status_code == 403
    assert person(world.alice).post(path).status_code == 403
    assert Caller({}).post(path).status_code == 401


@pytest.mark.parametrize("name", ["op_0", "usr_" + "0" * 32, "op_" + "0" * 32])
def test_names_of_nothing_are_not_found(trigger: Caller, name: str) -> None:
    assert code_of(trigger.post(f"{OPERATIONS}/{name}/token")) == (404, "not_found")
