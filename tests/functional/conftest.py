"""The people, machines and operations that tests of the REST interface begin with."""

from __future__ import annotations

import pytest

from batchtokens.services.issuing.issue import Issued
from tests import factories, mandates
from tests.rest import OPERATIONS, Caller, ask, machine, person


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def alice(world: mandates.Savings) -> Caller:
    return person(world.alice)


@pytest.fixture
def trigger(world: mandates.Savings) -> Caller:
    return machine(world.trigger)


@pytest.fixture
def executor(world: mandates.Savings) -> Caller:
    return machine(world.executor)


@pytest.fixture
def operation(alice: Caller) -> str:
    """Return the path of an operation that Alice asked for herself."""
    return ask(alice)


@pytest.fixture
def triggered(world: mandates.Savings) -> str:
    """Return the path of an operation that the trigger got for Alice."""
    return f"{OPERATIONS}/{mandates.issue(world).row.public_id}"


@pytest.fixture
def other() -> Caller:
    """Return an executor that has nothing to do with it."""
    new = factories.service_client("other", scopes=["redeem"], audience="https://other.example/")
    return machine(new)


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    """Return the token that the trigger got for Alice."""
    return mandates.issue(world)
