"""I13: one consent buys one token, one code confirms one consent, however many ask at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from accounts.services.lock_person import lock_person
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import Consent, LedgerEntry, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.consent import request_consent as requests
from batchtokens.services.consent.confirm_consent import confirm_consent
from batchtokens.services.consent.preview_operation import MandateRequest
from batchtokens.services.consent.request_consent import request_consent
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.mandates.freeze_operations import freeze_operations
from batchtokens_verifier.errors import ProblemError
from tests import factories, mandates
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
]

AT_ONCE, ROUNDS = 8, 5


def outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except ProblemError as refusal:
        return refusal.code
    return "done"


def outcomes(calls: list[Callable[[], Any]]) -> Counter[str]:
    return Counter(at_once(*(partial(outcome, call) for call in calls)))


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.exact()


def test_a_consent_buys_one_token(world: mandates.Savings) -> None:
    for bought in range(1, ROUNDS + 1):
        limits: dict[str, Any] = {"valid_to": mandates.in_days(30)}
        consent = mandates.consent(world, **limits)
        asked = [
            mandates.exchange_request(world, consent_id=consent.public_id, **limits)
            for _ in range(AT_ONCE)
        ]

        found = outcomes(
            [partial(exchange_access_token, by=world.trigger.client, request=r) for r in asked]
        )

        assert found == {"done": 1, "consent_not_valid": AT_ONCE - 1}
        assert OperationToken.objects.count() == bought
        assert LedgerEntry.objects.filter(kind="issued").count() == bought


def test_the_built_in_trigger_spends_it_once(world: mandates.Savings) -> None:
    limits = mandates.constraints()
    consent = mandates.consent(world, client="", valid_to=limits["valid_to"])
    asked = OperationRequest(
        "savings.deposit", mandates.OPERATION, limits, consent_id=consent.public_id
    )
    grant = mandates.grant_of(world.alice)

    found = outcomes([partial(create_operation, by=grant, request=asked)] * AT_ONCE)

    assert found == {"done": 1, "consent_not_valid": AT_ONCE - 1}
    assert OperationToken.objects.count() == 1


@pytest.mark.parametrize(
    "cap",
    [{"max_live_mandates": 2}, {"max_total": {"amount": "1300.00", "currency": "USD"}}],
    ids=["live", "total"],
)
def test_caps_hold(cap: dict[str, Any]) -> None:
    ensure_signing_keys()
    world = mandates.exact(**cap)
    limits: dict[str, Any] = {
        "valid_to": mandates.in_days(30),
        "max_total": {"amount": "600.00", "currency": "USD"},
    }
    consents = [mandates.consent(world, **limits) for _ in range(AT_ONCE)]
    asked = [
        mandates.exchange_request(world, consent_id=consent.public_id, **limits)
        for consent in consents
    ]

    found = outcomes(
        [partial(exchange_access_token, by=world.trigger.client, request=r) for r in asked]
    )

    assert found == {"done": 2, "mandate_limit_reached": AT_ONCE - 2}
    assert Consent.objects.exclude(spent_at=None).count() == OperationToken.objects.count() == 2


def test_one_code_confirms_one_consent(world: mandates.Savings) -> None:
    code = factories.totp_device(world.alice)[1]()
    grant = mandates.grant_of(world.alice)
    consents = [mandates.consent(world, confirmed=False) for _ in range(AT_ONCE)]

    found = outcomes(
        [
            partial(
                confirm_consent,
                by=grant,
                public_id=consent.public_id,
                otp=code,
                mandate_digest=consent.mandate_digest,
            )
            for consent in consents
        ]
    )

    assert found["done"] == Consent.objects.exclude(confirmed_at=None).count() == 1
    assert set(found) <= {"done", "invalid_otp", "rate_limited"}


def test_open_consents_are_bounded(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_OPEN", 3)
    asked = MandateRequest("savings.deposit", mandates.OPERATION, mandates.constraints())
    grant = mandates.grant_of(world.alice)

    found = outcomes([partial(request_consent, by=grant, request=asked)] * AT_ONCE)

    assert found == {"done": 3, "too_many_consents": AT_ONCE - 3}


def while_locked(world: mandates.Savings, then: Callable[[], Any], call: Callable[[], Any]) -> str:
    """Call while somebody else holds the person, who does `then` before letting go."""
    locked = Event()

    def hold() -> str:
        with transaction.atomic():
            lock_person(user=world.alice)
            locked.set()
            time.sleep(0.6)  # the call waits by now
            then()
        return ""

    def wait_and_call() -> str:
        locked.wait(timeout=60)
        return outcome(call)

    return "".join(at_once(hold, wait_and_call))


def test_a_freeze_meanwhile_voids_it(world: mandates.Savings) -> None:
    limits: dict[str, Any] = {"valid_to": mandates.in_days(30)}
    consent = mandates.consent(world, **limits)
    asked = mandates.exchange_request(world, consent_id=consent.public_id, **limits)

    found = while_locked(
        world,
        partial(freeze_operations, user=world.alice),
        partial(exchange_access_token, by=world.trigger.client, request=asked),
    )

    assert found == "consent_not_valid"
    assert not OperationToken.objects.exists()


def test_it_may_end_while_the_trigger_waits(world: mandates.Savings) -> None:
    limits: dict[str, Any] = {"valid_to": mandates.in_days(30)}
    consent = mandates.consent(world, **limits)
    consent.expires_at = database_now() + timedelta(seconds=0.5)
    consent.save()
    asked = mandates.exchange_request(world, consent_id=consent.public_id, **limits)

    found = while_locked(
        world,
        lambda: None,
        partial(exchange_access_token, by=world.trigger.client, request=asked),
    )

    assert found == "consent_not_valid"
    assert not OperationToken.objects.exists()


def test_a_switch_off_meanwhile_is_noticed(world: mandates.Savings) -> None:
    limits: dict[str, Any] = {"valid_to": mandates.in_days(30)}
    consent = mandates.consent(world, **limits)
    asked = mandates.exchange_request(world, consent_id=consent.public_id, **limits)
    switch_off = partial(User.objects.filter(pk=world.alice.pk).update, is_active=False)

    found = while_locked(
        world, switch_off, partial(exchange_access_token, by=world.trigger.client, request=asked)
    )

    assert found == "consent_not_valid"
    assert not OperationToken.objects.exists()
