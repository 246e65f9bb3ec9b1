"""An account that is frozen holds its person's mandates; they are resumed one by one."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.errors import AccountInactive
from accounts.models import EmailKind, User
from accounts.services.queue_email import queue_email
from accounts.services.reset_password import ask_for_reset, reset_password
from batchtokens.models import (
    Consent,
    ConsentMode,
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
    OperationType,
    Status,
)
from batchtokens.services.consent.preview_operation import MandateRequest
from batchtokens.services.consent.request_consent import request_consent
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.freeze_operations import freeze_operations
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens_verifier.errors import OperationHeld
from tests import factories, mandates, rest
from tests.crowds import multiply_mandate
from tests.mailbox import code_sent

pytestmark = pytest.mark.django_db(transaction=True)
HOME = "alice@example.org"


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=10_000)


def freeze(user: User) -> Any:
    queue_email(kind=EmailKind.PASSWORD_CHANGED, user=user)
    body = {"token": code_sent(to=HOME)}
    answer = Client().post("/api/v1/auth/not-me", body, content_type="application/json")
    assert answer.status_code == 200
    return answer


def thaw() -> None:
    ask_for_reset(email=HOME)
    reset_password(token=code_sent(to=HOME), new_password="an even longer passphrase")


def state(issued: Issued) -> list[str]:
    return list(OperationToken.objects.get(pk=issued.row.pk).holds)


def test_holds_every_live_mandate_as_its_person(world: mandates.Savings) -> None:
    running, held, cancelled = (mandates.issue(world) for _ in range(3))
    hold_operation(operation_id=held.row.pk, by=HoldKind.STAFF)
    cancel_operation(operation_id=cancelled.row.pk, by=HoldKind.USER)

    freeze(world.alice)

    assert (state(running), state(held), state(cancelled)) == (["user"], ["staff", "user"], [])
    entry = LedgerEntry.objects.filter(operation_token=running.row).latest("seq")
    assert (entry.kind, json.loads(entry.entry)["data"]["by"]) == (EntryKind.HELD, "user")
    with pytest.raises(OperationHeld):
        mandates.redeem(world, running)
    assert list(verify_ledger()) == [(3, [])]


def test_after_the_thaw_each_is_still_held_until_its_person_resumes_it(
    world: mandates.Savings,
) -> None:
    mine, strange = mandates.issue(world), mandates.issue(world)
    freeze(world.alice)
    thaw()
    with pytest.raises(OperationHeld):
        mandates.redeem(world, mine)
    world.alice.refresh_from_db()
    caller = rest.person(world.alice)
    listed = caller.get(rest.OPERATIONS, status=Status.HELD).json()["results"]
    assert {each["id"] for each in listed} == {mine.row.public_id, strange.row.public_id}

    answer = caller.post(f"{rest.OPERATIONS}/{mine.row.public_id}/resume")

    assert answer.status_code == 200
    assert mandates.redeem(world, mine).proceed
    assert state(strange) == ["user"]
    assert list(verify_ledger()) == [(2, [])]


def test_others_mandates_run_on(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    bob = factories.bob(email="bob@example.org")
    OperationToken.objects.update(user=bob)
    freeze(world.alice)
    assert state(issued) == []


def test_freezing_twice_holds_once(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    with transaction.atomic():
        assert freeze_operations(user=world.alice) == 1
        assert freeze_operations(user=world.alice) == 0
    assert state(issued) == ["user"]
    assert LedgerEntry.objects.filter(kind=EntryKind.HELD).count() == 1


def test_a_damaged_mandate_does_not_keep_the_intruder_in(world: mandates.Savings) -> None:
    damaged, sound = mandates.issue(world), mandates.issue(world)
    OperationToken.objects.filter(pk=damaged.row.pk).update(taken_count=1)
    freeze(world.alice)
    world.alice.refresh_from_db()
    assert not world.alice.is_active
    assert (state(damaged), state(sound)) == ([], ["user"])


@pytest.mark.slow
def test_two_thousand_mandates_are_held_at_once(world: mandates.Savings) -> None:
    first = mandates.issue(world)
    multiply_mandate(first.row, 1999)

    begun = timezone.now()
    freeze(world.alice)

    assert (timezone.now() - begun).total_seconds() < 20
    assert OperationToken.objects.filter(holds=["user"]).count() == 2000
    assert LedgerEntry.objects.filter(kind=EntryKind.HELD).count() == 2000
    findings = [finding for _, page in verify_ledger() for finding in page]
    assert findings == []


def test_open_consents_are_void(world: mandates.Savings) -> None:
    now = timezone.now()
    for spent_at in (None, now):
        Consent.objects.create(
            user=world.alice,
            client=world.trigger.client,
            operation_type=world.kind,
            details={},
            created_at=now - timedelta(minutes=1),
            expires_at=now + timedelta(minutes=14),
            confirmed_at=now,
            spent_at=spent_at,
            template_version=1,
        )
    freeze(world.alice)
    assert not Consent.objects.open(timezone.now()).exists()
    assert Consent.objects.filter(spent_at=now, expires_at__gt=timezone.now()).count() == 1


def test_a_voided_consent_stays_so_when_the_clock_goes_back(world: mandates.Savings) -> None:
    OperationType.objects.update(consent=ConsentMode.EXACT)
    shown = timezone.now() - timedelta(minutes=5)
    consent = mandates.consent(world, now=shown)
    with transaction.atomic():
        freeze_operations(user=world.alice)

    assert not Consent.objects.open(shown + timedelta(seconds=1)).filter(pk=consent.pk).exists()


def test_what_was_on_its_way_lifts_nothing_and_asks_for_nothing(world: mandates.Savings) -> None:
    """An intruder's requests may have passed the door before it was shut."""
    issued = mandates.issue(world)
    asked = MandateRequest("savings.deposit", mandates.OPERATION, mandates.constraints())
    OperationType.objects.update(consent=ConsentMode.EXACT)
    freeze(world.alice)

    with pytest.raises(AccountInactive):
        resume_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    with pytest.raises(AccountInactive):
        request_consent(by=mandates.grant_of(world.alice), request=asked)

    assert state(issued) == ["user"]
    assert not Consent.objects.exists()
