"""Who sets and lifts which hold through which door; every mix against every lifter (I16)."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from django.test import Client

from batchtokens.errors import HoldNotAllowed
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens_verifier.errors import OperationHeld
from tests import factories, mandates, rest

pytestmark = pytest.mark.django_db

Door = Callable[[mandates.Savings, Issued, str], Any]
ADMIN = "/admin/batchtokens/operationtoken"
MIXES = [
    set(mix) for size in range(len(HoldKind) + 1) for mix in combinations(sorted(HoldKind), size)
]
# What each kind takes away; whoever finds nothing of it is refused.
LIFTED = {
    HoldKind.USER: {"user"},
    HoldKind.CLIENT: {"client"},
    HoldKind.STAFF: {"staff", "client"},
    HoldKind.SYSTEM: {"system"},
}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def holds(issued: Issued) -> set[str]:
    return set(OperationToken.objects.get(pk=issued.row.pk).holds)


def path(issued: Issued, verb: str) -> str:
    return f"{rest.OPERATIONS}/{issued.row.public_id}/{verb}"


@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: "+".join(sorted(mix)) or "none")
@pytest.mark.parametrize("lifter", HoldKind)
def test_each_kind_lifts_its_own_from_every_mix(
    world: mandates.Savings, mix: set[HoldKind], lifter: HoldKind
) -> None:
    issued = mandates.issue(world)
    for kind in mix:
        hold_operation(operation_id=issued.row.pk, by=kind)
    set_ones = {str(kind) for kind in mix}

    if set_ones & LIFTED[lifter]:
        resume_operation(operation_id=issued.row.pk, by=lifter)
        assert holds(issued) == set_ones - LIFTED[lifter]
    else:
        with pytest.raises(HoldNotAllowed):
            resume_operation(operation_id=issued.row.pk, by=lifter)
        assert holds(issued) == set_ones
    if holds(issued):
        with pytest.raises(OperationHeld):
            mandates.redeem(world, issued)
    else:
        assert mandates.redeem(world, issued).proceed
    assert list(verify_ledger()) == [(1, [])]


def by_person(world: mandates.Savings, issued: Issued, verb: str) -> Any:
    return rest.person(world.alice).post(path(issued, verb))


def by_trigger(world: mandates.Savings, issued: Issued, verb: str) -> Any:
    return rest.machine(world.trigger).post(path(issued, verb))


def by_staff(world: mandates.Savings, issued: Issued, verb: str) -> Any:
    client = Client()
    client.force_login(factories.staff())
    body = {"ids": [issued.row.pk], "reason": "a reason"}
    answer = client.post(f"{ADMIN}/{verb}/", body)
    assert answer.status_code == 302
    return answer


DOORS: dict[str, tuple[Door, str]] = {
    "person": (by_person, "user"),
    "trigger": (by_trigger, "client"),
    "staff": (by_staff, "staff"),
}


@pytest.mark.parametrize(("door", "kind"), DOORS.values(), ids=DOORS.keys())
def test_a_door_sets_and_lifts_its_own_kind(world: mandates.Savings, door: Door, kind: str) -> None:
    issued = mandates.issue(world)
    door(world, issued, "hold")
    assert holds(issued) == {kind}


@pytest.mark.parametrize(("door", "kind"), DOORS.values(), ids=DOORS.keys())
def test_a_door_lifts_no_other_kind(world: mandates.Savings, door: Door, kind: str) -> None:
    issued = mandates.issue(world)
    for each in HoldKind:
        hold_operation(operation_id=issued.row.pk, by=each)
    door(world, issued, "resume")
    assert holds(issued) == {str(each) for each in HoldKind} - LIFTED[HoldKind(kind)]


@pytest.mark.parametrize("verb", ["hold", "resume", "cancel"])
def test_its_executor_has_no_door(world: mandates.Savings, verb: str) -> None:
    issued = mandates.issue(world)
    answer = rest.machine(world.executor).post(path(issued, verb))
    assert rest.code_of(answer) == (404, "not_found")
    assert holds(issued) == set()
    assert OperationToken.objects.get().cancelled_at is None


@pytest.mark.parametrize("body", [{"by": "staff"}, {"kind": "staff"}, {"holds": []}], ids=str)
def test_nobody_names_their_own_kind(world: mandates.Savings, body: dict[str, Any]) -> None:
    issued = mandates.issue(world)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.STAFF)
    answer = rest.person(world.alice).post(path(issued, "resume"), body)
    assert answer.status_code in {400, 409}
    assert holds(issued) == {"staff"}
