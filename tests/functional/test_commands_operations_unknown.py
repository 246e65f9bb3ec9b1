"""Names that nobody has: `operations` and the switches say so, and which there are."""

from __future__ import annotations

import re
import uuid

import pytest

from accounts.management.base import Exit
from batchtokens.models import OperationType
from batchtokens.services.issuing.issue import Issued
from tests import mandates
from tests.commands import ended, operations

pytestmark = pytest.mark.django_db

WHY = ("--reason", "the bank asked", "--yes")


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


def names_in(said: str) -> list[str]:
    return re.split(r"[ ,]+", said.rstrip("."))


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("--type=savings", "savings.deposit"),
        ("--executor=saving", "savings"),
        ("--client=triger", "trigger"),
        ("--client=triger", "first-party"),
    ],
)
@pytest.mark.parametrize("verb", ["list", "hold", "resume", "cancel"])
def test_an_unknown_name_is_told_with_the_known_ones(
    issued: Issued, verb: str, option: str, known: str
) -> None:
    told = operations(verb, option, *(() if verb == "list" else WHY))

    assert (told.code, told.out) == (Exit.NOTHING_MATCHED, "")
    assert known in names_in(told.said)


def test_lists_what_a_key_has_signed(issued: Issued) -> None:
    told = operations("list", "--kid", issued.row.kid, "--quiet")

    assert told.out == f"{issued.row.public_id}\n"


def test_many_known_names_are_not_told(world: mandates.Savings) -> None:
    for number in range(20):
        kind = OperationType.objects.get(pk=world.kind.pk)
        kind.pk, kind.name = uuid.uuid4(), f"other.{number}"
        kind.meta_scope = kind.scope = kind.name
        kind.save(force_insert=True)

    assert "other" not in operations("list", "--type", "nothing").said


@pytest.mark.parametrize("verb", ["show", "stop", "start"])
@pytest.mark.parametrize(
    ("command", "known"),
    [("executor_control", "savings"), ("operation_type_control", "savings.deposit")],
)
def test_the_switches_tell_the_known_ones(
    world: mandates.Savings, command: str, known: str, verb: str
) -> None:
    told = ended(command, verb, "nobody", *(() if verb == "show" else WHY))

    assert told.code == Exit.NOTHING_MATCHED
    assert known in names_in(told.said)


def test_missed_tells_the_known_executors(world: mandates.Savings) -> None:
    assert "savings" in names_in(operations("missed", "--executor", "nobody").said)
