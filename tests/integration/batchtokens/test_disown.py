"""services.disown: a compromised key ends its signatures, not the mandates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from batchtokens.models import (
    OperationToken,
    Status,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.disown import disown_operations
from batchtokens.services.mandates.introspect import introspect_operation_token
from batchtokens_verifier.errors import (
    OperationTokenNotValid,
    ProblemError,
)
from batchtokens_verifier.jws import Purpose
from tests import insiders, mandates
from tests.reissues import (
    DAILY,
    check_ledger,
    compromise,
    kinds,
    stored,
    trust_all_keys,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


def test_disowns_what_the_key_signed_and_nothing_else(world: mandates.Savings) -> None:
    before = mandates.issue(world)
    rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.OPERATION])
    after = mandates.issue(world)

    row = compromise(before)

    assert row.disowned_at is not None
    assert (row.holds, row.status_at(timezone.now())) == (["system"], Status.HELD)
    assert kinds(before) == ["issued", "disowned"]
    assert (kinds(after), stored(after).disowned_at) == (["issued"], None)
    check_ledger()


def test_old_bytes_are_refused_at_once_even_where_the_key_is_still_believed(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_all_keys(monkeypatch)

    compromise(issued)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, issued)


def test_a_hold_that_was_lifted_does_not_bring_the_old_bytes_back(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_all_keys(monkeypatch)
    compromise(issued)
    OperationToken.objects.update(holds=[])  # and its ledger's head with it, which I15 would see

    with pytest.raises(ProblemError) as refusal:
        mandates.redeem(world, issued)

    assert refusal.value.code in {"ledger_broken", "operation_token_not_valid"}


def test_a_broken_chain_does_not_keep_a_key_alive(world: mandates.Savings, issued: Issued) -> None:
    other = mandates.issue(world)
    OperationToken.objects.filter(pk=other.row.pk).update(taken_count=1)

    assert compromise(issued).disowned_at is not None
    assert stored(other).disowned_at is None  # it runs nowhere: I15


def test_a_forged_token_of_the_stolen_key_has_no_row_that_bears_it(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_all_keys(monkeypatch)
    forged = insiders.alter(issued.token)
    compromise(issued)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, Issued(forged, issued.row), operation=insiders.EDITED)


def test_introspection_calls_it_inactive(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)

    assert introspect_operation_token(by=world.redeemer, token=issued.token) == {"active": False}


def test_what_was_signed_meanwhile_is_disowned_by_the_next_sweep(
    world: mandates.Savings, issued: Issued
) -> None:
    compromise(issued)
    late = mandates.issue(world)
    OperationToken.objects.filter(pk=late.row.pk).update(kid=issued.row.kid)

    assert disown_operations(kid=issued.row.kid, reason="again") == 1
    assert disown_operations(kid=issued.row.kid, reason="again") == 0
    assert kinds(late) == ["issued", "disowned"]
