"""An idempotency key belongs to one executor, and there to one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import IntegrityError

from batchtokens.models import RedemptionAttempt
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.redemption.redeem import (
    RedemptionRequest,
    redeem_operation_token,
)
from batchtokens.services.redemption.redeem_batch import Line, Outcome, redeem_batch
from batchtokens_verifier.errors import OperationTokenNotValid
from tests import factories, mandates

pytestmark = pytest.mark.django_db

ELSEWHERE = "https://elsewhere.example/"
Ask = Callable[[mandates.Savings, Issued], Any]


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def mine(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


@pytest.fixture
def other(world: mandates.Savings, mine: Issued) -> mandates.Savings:
    """The same world, whose mandates are for another executor from now on."""
    new = factories.service_client("other", scopes=["redeem"], audience=ELSEWHERE)
    create_operation_type(definition=mandates.savings_definition(executor="other"))
    return replace(world, executor=new)


@pytest.fixture
def theirs(other: mandates.Savings) -> Issued:
    request = replace(mandates.exchange_request(other), target=ELSEWHERE)
    return exchange_access_token(by=other.trigger.client, request=request)


def alone(world: mandates.Savings, issued: Issued) -> Outcome:
    request = RedemptionRequest(issued.token, mandates.OPERATION)
    return redeem_operation_token(by=world.redeemer, request=request, idempotency_key="run-1")


def in_a_batch(world: mandates.Savings, issued: Issued) -> Outcome:
    request = RedemptionRequest(issued.token, mandates.OPERATION)
    (answer,) = redeem_batch(by=world.redeemer, lines=[Line("run-1", request)])
    return answer


@pytest.mark.parametrize("ask", [alone, in_a_batch])
def test_two_executors_use_the_same_key(
    world: mandates.Savings, other: mandates.Savings, mine: Issued, theirs: Issued, ask: Ask
) -> None:
    first = ask(world, mine), ask(other, theirs)
    again = ask(world, mine), ask(other, theirs)

    assert [each.created for each in first] == [True, True]
    assert [each.attempt.receipt for each in again] == [each.attempt.receipt for each in first]
    assert RedemptionAttempt.objects.count() == 2


def test_a_key_opens_no_answer_of_another_executor(
    world: mandates.Savings, other: mandates.Savings, mine: Issued
) -> None:
    """Not even for the very same request, with a token that is not for this executor."""
    alone(world, mine)

    with pytest.raises(OperationTokenNotValid):
        alone(other, mine)
    assert isinstance(in_a_batch(other, mine), OperationTokenNotValid)


def test_another_broken_constraint_is_no_mismatch(world: mandates.Savings, mine: Issued) -> None:
    """A fault of this side: whoever is told that its request was wrong never asks again."""
    first = mandates.redeem(world, mine, "run-1")
    attempt = RedemptionAttempt.objects.get()
    attempt.pk, attempt.attempt, attempt.idempotency_key = uuid4(), 2, "nobody's"
    attempt.save(force_insert=True)

    with pytest.raises(IntegrityError):
        mandates.redeem(world, mine, "run-2", now=first.at + settings.REDEMPTION_LEASE)
