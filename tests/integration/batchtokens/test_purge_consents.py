"""Consents that nobody used go a day after they were over; spent ones are evidence and stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from batchtokens.models import Consent, OperationToken
from batchtokens.services.consent.purge_consents import purge_consents
from batchtokens.services.consent.request_consent import LIFETIME
from tests import mandates

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


def over_at(world: mandates.Savings, at: datetime, *, confirmed: bool = False) -> Consent:
    return mandates.consent(world, confirmed=confirmed, now=at - LIFETIME)


@pytest.mark.parametrize(("offset", "gone"), [(-SECOND, True), (timedelta(0), False)])
@pytest.mark.parametrize("confirmed", [True, False])
def test_goes_a_day_after_its_end(
    world: mandates.Savings, offset: timedelta, gone: bool, confirmed: bool
) -> None:
    over_at(world, NOW - timedelta(days=1) + offset, confirmed=confirmed)

    assert purge_consents(10, now=NOW) == gone
    assert Consent.objects.count() == (not gone)


def test_a_spent_one_stays(world: mandates.Savings) -> None:
    mandates.issue(world)

    assert purge_consents(10, now=NOW + timedelta(days=400)) == 0
    assert OperationToken.objects.get().consent is not None


def test_goes_by_batches(world: mandates.Savings) -> None:
    for _ in range(3):
        over_at(world, NOW - timedelta(days=2))

    assert [purge_consents(2, now=NOW) for _ in range(3)] == [2, 1, 0]


def test_the_command_tells_of_them(world: mandates.Savings) -> None:
    over_at(world, NOW - timedelta(days=2))
    out = StringIO()

    call_command("purge_expired", "--format", "json", stdout=out)

    assert {"id": "consents", "deleted": 1} in json.loads(out.getvalue())
    assert not Consent.objects.exists()
