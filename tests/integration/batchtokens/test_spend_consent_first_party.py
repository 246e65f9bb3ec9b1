"""Exact mode where no trigger is named: the built-in one; and the caps that hold for both."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import (
    ConsentMismatch,
    ConsentNotValid,
    ConsentRequired,
    MandateLimitReached,
)
from batchtokens.models import Consent, OperationToken
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from tests import mandates

pytestmark = pytest.mark.django_db

VALID_TO = mandates.in_days(30)
OTHER = {**mandates.OPERATION, "creditor_account": "sav-6666"}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


@pytest.fixture
def signing_keys() -> None:
    ensure_signing_keys()


@pytest.fixture
def consent(world: mandates.Savings) -> Consent:
    return mandates.consent(world, valid_to=VALID_TO)


@pytest.mark.usefixtures("signing_keys")
class TestBuiltInTrigger:
    def ask(self, world: mandates.Savings, consent_id: str | None, **changes: Any) -> Any:
        asked = OperationRequest(
            type="savings.deposit",
            operation=changes.pop("operation", mandates.OPERATION),
            constraints=mandates.constraints(valid_to=VALID_TO, **changes),
            consent_id=consent_id,
        )
        return create_operation(by=mandates.grant_of(world.alice), request=asked)

    def test_takes_its_own_consent(self, world: mandates.Savings) -> None:
        shown = mandates.consent(world, client="", valid_to=VALID_TO)

        row = self.ask(world, shown.public_id)

        assert row.consent == shown
        assert row.queued_runs.exists()
        with pytest.raises(ConsentNotValid):
            self.ask(world, shown.public_id)

    def test_needs_one(self, world: mandates.Savings) -> None:
        with pytest.raises(ConsentRequired):
            self.ask(world, None)

    def test_takes_no_triggers_consent(self, world: mandates.Savings, consent: Consent) -> None:
        with pytest.raises(ConsentNotValid):
            self.ask(world, consent.public_id)

    def test_does_nothing_for_who_was_switched_off_meanwhile(self, world: mandates.Savings) -> None:
        shown = mandates.consent(world, client="", valid_to=VALID_TO)
        User.objects.update(is_active=False)

        with pytest.raises(ConsentNotValid):
            self.ask(world, shown.public_id)
        assert not OperationToken.objects.exists()

    def test_does_nothing_else(self, world: mandates.Savings) -> None:
        shown = mandates.consent(world, client="", valid_to=VALID_TO)

        with pytest.raises(ConsentMismatch):
            self.ask(world, shown.public_id, operation=OTHER)
        assert not OperationToken.objects.exists()


@pytest.mark.parametrize(
    ("definition", "limits"),
    [
        ({"max_live_mandates": 1}, {}),
        (
            {"max_total": {"amount": "900.00", "currency": "USD"}},
            {"max_total": {"amount": "600.00", "currency": "USD"}},
        ),
    ],
    ids=["live", "total"],
)
def test_caps_hold_for_confirmed_operations(
    definition: dict[str, Any], limits: dict[str, Any]
) -> None:
    world = mandates.exact(**definition)
    mandates.issue(world, **limits)

    with pytest.raises(MandateLimitReached):
        mandates.issue(world, **limits)
    assert OperationToken.objects.count() == 1
    assert Consent.objects.filter(spent_at=None).count() == 1
