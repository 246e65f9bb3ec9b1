"""services.fetch_token: a trigger fetches what was signed anew."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import NoNewToken, OperationFinal, OperationNotFound
from batchtokens.models import (
    HoldKind,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.fetch_token import fetch_reissued_token
from batchtokens.services.mandates.revoke import cancel_operation
from tests import factories, mandates
from tests.reissues import (
    DAILY,
    compromise,
    fetch,
    reissue,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


def test_waits_until_fetched_then_for_a_day(world: mandates.Savings, issued: Issued) -> None:
    compromise(issued)
    reissue()
    late = timezone.now() + timedelta(days=2)
    by, public_id = world.trigger.client, issued.row.public_id

    first = fetch_reissued_token(by=by, public_id=public_id, now=late)
    again = fetch_reissued_token(by=by, public_id=public_id, now=late + timedelta(hours=23))

    assert again.operation_token == first.operation_token
    with pytest.raises(NoNewToken):
        fetch_reissued_token(by=by, public_id=public_id, now=late + timedelta(hours=24))


def test_only_its_trigger_fetches_it(world: mandates.Savings, issued: Issued) -> None:
    other = factories.service_client("other", scopes=["token_exchange"]).client
    compromise(issued)
    reissue()

    for stranger in (other, world.redeemer):
        with pytest.raises(OperationNotFound):
            fetch(world, issued, by=stranger)


def test_hands_out_nothing_that_was_not_signed_anew(
    world: mandates.Savings, issued: Issued
) -> None:
    with pytest.raises(NoNewToken):
        fetch(world, issued)


def test_one_cancelled_after_the_reissue_is_not_handed_out(
    world: mandates.Savings, issued: Issued
) -> None:
    compromise(issued)
    reissue()
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    with pytest.raises(OperationFinal):
        fetch(world, issued)
