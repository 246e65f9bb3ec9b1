"""verify_ledger tells when somebody rewrites what a person was shown, or confirmed (I14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from accounts.ids import new_id
from accounts.models import ServiceClient, User
from batchtokens.models import Consent, OperationToken
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from tests import factories, mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db

OTHER = {**mandates.OPERATION, "creditor_account": "sav-6666"}


@pytest.fixture
def token() -> OperationToken:
    return mandates.issue(mandates.exact()).row


def problems() -> list[str]:
    return [finding.problem for _, page in verify_ledger() for finding in page]


def reword_the_mandate() -> None:
    OperationToken.objects.update(summary="Deposit 1.00 USD.")


def reword_the_consent() -> None:
    Consent.objects.update(summary="Deposit 1.00 USD.")


def swap_the_digest() -> None:
    Consent.objects.update(mandate_digest="sha-256:" + "A" * 43)


def swap_what_was_shown() -> None:
    consent = Consent.objects.get()
    consent.details = {**consent.details, "operation": OTHER}
    consent.save()


def confirm_earlier() -> None:
    Consent.objects.update(confirmed_at=F("confirmed_at") - timedelta(hours=1))


def confirm_with_something_else() -> None:
    Consent.objects.update(confirmed_with="face")


def put_another_consent_there() -> None:
    consent = Consent.objects.get()
    consent.pk = new_id()
    consent.save(force_insert=True)
    OperationToken.objects.update(consent=consent)


def take_the_consent_away() -> None:
    OperationToken.objects.update(consent=None, consent_mode="scope")


def give_it_to_somebody_else() -> None:
    OperationToken.objects.update(user=factories.bob())


def name_another_trigger() -> None:
    other = factories.service_client("other", scopes=["token_exchange"])
    OperationToken.objects.update(client=other.client)


def name_another_executor() -> None:
    other = factories.service_client("other", scopes=["redeem"])
    OperationToken.objects.update(executor=other.client)


def name_another_version_of_the_type() -> None:
    changed = mandates.savings_definition(consent="exact", max_lifetime_days=60)
    OperationToken.objects.update(operation_type=create_operation_type(definition=changed))


@pytest.mark.parametrize(
    "tamper",
    [
        reword_the_mandate,
        reword_the_consent,
        swap_the_digest,
        swap_what_was_shown,
        confirm_earlier,
        confirm_with_something_else,
        put_another_consent_there,
        take_the_consent_away,
        give_it_to_somebody_else,
        name_another_trigger,
        name_another_executor,
        name_another_version_of_the_type,
    ],
)
def test_each_rewriting_shows(token: OperationToken, tamper: Callable[[], None]) -> None:
    assert problems() == []

    with as_insider():
        tamper()

    assert len(problems()) == 1


def test_what_may_change_gives_no_alarm(token: OperationToken) -> None:
    User.objects.update(username="alicia", email="alicia@example.org")
    ServiceClient.objects.update(is_active=False)

    assert problems() == []
