"""Who can write rows, but has no key, edits what was confirmed: it buys nothing, or it shows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from accounts.ids import new_id
from batchtokens.errors import ConsentNotValid
from batchtokens.models import Consent, OperationToken
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens_verifier.errors import ProblemError
from tests import bulk, factories, mandates

pytestmark = pytest.mark.django_db(transaction=True)
VALID_TO = mandates.in_days(30)
DEARER = {**mandates.OPERATION, "creditor_account": "sav-6666"}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


def spend(world: mandates.Savings, consent: Consent, operation: Mapping[str, Any]) -> None:
    request = mandates.exchange_request(
        world, operation=operation, valid_to=VALID_TO, consent_id=consent.public_id
    )
    exchange_access_token(by=world.trigger.client, request=request)


def is_bought(world: mandates.Savings, consent: Consent, operation: Mapping[str, Any]) -> bool:
    try:
        spend(world, consent, operation)
    except ProblemError:
        return False
    return True


def reword(consent: Consent) -> None:
    Consent.objects.update(summary="Deposit 1.00 USD.")


def name_another_language(consent: Consent) -> None:
    Consent.objects.update(language="de")


def name_another_template(consent: Consent) -> None:
    Consent.objects.update(template_version=7)


def swap_the_digest(consent: Consent) -> None:
    Consent.objects.update(mandate_digest="sha-256:" + "A" * 43)


def confirm_with_something_better(consent: Consent) -> None:
    Consent.objects.update(confirmed_with="hwk")


def move_when_it_was_confirmed(consent: Consent) -> None:
    Consent.objects.update(confirmed_at=F("confirmed_at") + timedelta(seconds=1))


def move_when_it_was_shown(consent: Consent) -> None:
    Consent.objects.update(created_at=F("created_at") - timedelta(seconds=1))


def let_it_last(consent: Consent) -> None:
    Consent.objects.update(expires_at=F("expires_at") + timedelta(days=1))


def erase_the_sum(consent: Consent) -> None:
    Consent.objects.update(confirmation_mac=None)


OF_ANY = [
    reword,
    name_another_language,
    name_another_template,
    swap_the_digest,
    confirm_with_something_better,
    move_when_it_was_confirmed,
    move_when_it_was_shown,
]


@pytest.mark.parametrize("edit", [*OF_ANY, let_it_last, erase_the_sum])
def test_an_edited_confirmation_buys_nothing(
    world: mandates.Savings, edit: Callable[[Consent], None]
) -> None:
    consent = mandates.consent(world, valid_to=VALID_TO)
    edit(consent)

    assert not is_bought(world, consent, mandates.OPERATION)
    assert not OperationToken.objects.exists()


def test_an_honest_one_buys(world: mandates.Savings) -> None:
    assert is_bought(world, mandates.consent(world, valid_to=VALID_TO), mandates.OPERATION)


def rewritten(world: mandates.Savings, consent: Consent) -> Consent:
    """Rewrite a consent, digests and all, into one for another account."""
    other = mandates.consent(world, operation=DEARER, valid_to=VALID_TO, confirmed=False)
    for field in ("details", "summary", "parameter_digest", "mandate_digest", "created_at"):
        setattr(consent, field, getattr(other, field))
    consent.save()
    return consent


def test_a_confirmation_for_one_account_is_none_for_another(
    world: mandates.Savings, caplog: pytest.LogCaptureFixture
) -> None:
    """All is consistent with itself: the sum alone tells that nobody confirmed it."""
    consent = rewritten(world, mandates.consent(world, valid_to=VALID_TO))

    with pytest.raises(ConsentNotValid):
        spend(world, consent, DEARER)

    assert [(r.levelno, consent.public_id in r.getMessage()) for r in caplog.records] == [
        (logging.CRITICAL, True)
    ]


def test_a_made_up_confirmation_buys_nothing(world: mandates.Savings) -> None:
    shown = mandates.consent(world, valid_to=VALID_TO, confirmed=False)
    real = mandates.consent(world, valid_to=VALID_TO)
    shown.confirmed_at, shown.confirmed_with = shown.created_at, "otp"
    shown.confirmation_mac = real.confirmation_mac
    shown.save()

    assert not is_bought(world, shown, mandates.OPERATION)


def test_a_copy_under_another_id_buys_nothing(world: mandates.Savings) -> None:
    consent = mandates.consent(world, valid_to=VALID_TO)
    spend(world, consent, mandates.OPERATION)
    consent.pk = new_id()
    consent.save(force_insert=True)

    assert not is_bought(world, consent, mandates.OPERATION)


def test_the_built_in_trigger_and_bulk_issues_ask_alike(world: mandates.Savings) -> None:
    own = mandates.consent(world, client="first-party", valid_to=VALID_TO)
    named = mandates.consent(world, valid_to=VALID_TO)
    Consent.objects.update(language="de")

    limits = mandates.constraints(valid_to=VALID_TO)
    request = OperationRequest(
        "savings.deposit", mandates.OPERATION, limits, consent_id=own.public_id
    )
    with pytest.raises(ConsentNotValid):
        create_operation(by=mandates.grant_of(world.alice), request=request)
    line = bulk.line(constraints=limits, consent_id=named.public_id)
    assert bulk.codes(bulk.issue(line)) == [ConsentNotValid.code]


def give_it_to_another(consent: Consent) -> None:
    Consent.objects.update(user=factories.bob())


def unspend(consent: Consent) -> None:
    Consent.objects.update(spent_at=None)


def spend_earlier(consent: Consent) -> None:
    Consent.objects.update(spent_at=F("spent_at") - timedelta(seconds=1))


def rename_its_operation(consent: Consent) -> None:
    Consent.objects.update(parameter_digest="sha-256:" + "A" * 43)


@pytest.mark.parametrize(
    "edit", [*OF_ANY, give_it_to_another, unspend, spend_earlier, rename_its_operation]
)
def test_an_edit_of_a_spent_one_is_named(
    world: mandates.Savings, edit: Callable[[Consent], None]
) -> None:
    token = mandates.issue(world).row
    assert findings() == []

    edit(Consent.objects.get())

    assert len(findings()) == 1
    assert token.public_id in findings()[0]


def test_one_that_is_unspent_again_buys_nothing_more(
    world: mandates.Savings, caplog: pytest.LogCaptureFixture
) -> None:
    """All that vouches for it is genuine: the token that it has bought tells."""
    own = mandates.consent(world, client="first-party", valid_to=VALID_TO)
    named = mandates.consent(world, valid_to=VALID_TO)
    limits = mandates.constraints(valid_to=VALID_TO)
    request = OperationRequest(
        "savings.deposit", mandates.OPERATION, limits, consent_id=own.public_id
    )
    spend(world, named, mandates.OPERATION)
    create_operation(by=mandates.grant_of(world.alice), request=request)
    Consent.objects.update(spent_at=None)

    with pytest.raises(ConsentNotValid):
        create_operation(by=mandates.grant_of(world.alice), request=request)
    with pytest.raises(ConsentNotValid):
        spend(world, named, mandates.OPERATION)
    line = bulk.line(constraints=limits, consent_id=named.public_id)
    assert bulk.codes(bulk.issue(line)) == [ConsentNotValid.code]
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL] * 3


def findings() -> list[str]:
    return [f"{found}" for _, page in verify_ledger() for found in page]
