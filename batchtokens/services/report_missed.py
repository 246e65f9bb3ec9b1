"""Report missed occurrences by name, each once: a row of the security log and a line of the log."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator

from accounts.models import Outcome, SecurityEvent
from accounts.services.record_event import record_event
from batchtokens.models.clock import database_now
from batchtokens.services.find_missed import Found, Search, find_occurrences

CODE = "occurrence_missed"
LOOK_BACK = dt.timedelta(days=7)  # what no worker was there to report, `operations missed` names
RECENTLY = dt.timedelta(days=1)

logger = logging.getLogger(__name__)


def report_missed(*, now: dt.datetime | None = None) -> Iterator[int]:
    """Report what was not reported yet; yield of how many, a page of mandates at a time.

    A caller may stop after any page. Two workers leave one row each.
    """
    at = now or database_now()
    for page in find_occurrences(Search(since=at - LOOK_BACK), now=at):
        fresh = _unreported(page)
        for found in fresh:
            _report(found, at)
        yield len(fresh)


def missed_recently(*, now: dt.datetime | None = None) -> int:
    """Return how many were reported within the last day: one indexed count."""
    since = (now or database_now()) - RECENTLY
    return SecurityEvent.objects.filter(code=CODE, at__gte=since).count()


def _unreported(page: list[Found]) -> list[Found]:
    known = SecurityEvent.objects.filter(correlation__in=[_correlation(each) for each in page])
    told = set(known.values_list("correlation", flat=True)) if page else set()
    return [each for each in page if _correlation(each) not in told]


def _report(found: Found, at: dt.datetime) -> None:
    logger.warning("missed: %s at %s", found.name, found.token.executor.client_id)
    record_event(
        code="occurrence_missed",
        outcome=Outcome.REFUSED,
        user=found.token.user,
        client=found.token.executor,
        correlation=_correlation(found),
        data={"run": found.name, "closed_at": found.occurrence.slot.closes_at.isoformat()},
        now=at,
    )


def _correlation(found: Found) -> str:
    return f"missed:{found.name}"
