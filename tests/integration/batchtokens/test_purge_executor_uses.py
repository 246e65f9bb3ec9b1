"""What a capped executor used in minutes and days that are over goes after a week."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from batchtokens.models import ExecutorUse, UsePeriod
from batchtokens.services.redemption.purge_executor_uses import purge_executor_uses
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
WEEK, SECOND = timedelta(days=7), timedelta(seconds=1)


def used_at(*instants: datetime) -> None:
    made = factories.service_client("savings", scopes=["redeem"], audience="https://s.example/")
    for starts_at in instants:
        ExecutorUse.objects.create(
            executor=made.client, period=UsePeriod.MINUTE, starts_at=starts_at, count=1
        )


@pytest.mark.parametrize(("offset", "gone"), [(-SECOND, True), (timedelta(0), False)])
def test_goes_after_a_week(offset: timedelta, gone: bool) -> None:
    used_at(NOW - WEEK + offset)

    assert purge_executor_uses(10, now=NOW) == gone
    assert ExecutorUse.objects.count() == (not gone)


def test_deletes_at_most_so_many() -> None:
    used_at(*(NOW - WEEK - number * SECOND for number in (1, 2, 3)))

    assert [purge_executor_uses(2, now=NOW) for _ in range(3)] == [2, 1, 0]


def test_purge_expired_does_it() -> None:
    used_at(NOW - 2 * WEEK, NOW)
    out = StringIO()

    call_command("purge_expired", "--format", "json", stdout=out)

    told = {row["id"]: row["deleted"] for row in json.loads(out.getvalue())}
    assert told["executor_uses"] == 1
    assert ExecutorUse.objects.count() == 1
