"""Report missed occurrences by name, each once: a row of the security log and a line of the log.

Each mandate notes when its next window closes, so that an hour costs what is due in it, not what
there is. The note decides nothing else: `operations missed` looks at every mandate.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from accounts.models import Outcome, SecurityEvent
from accounts.services.record_event import record_event
from batchtokens.models.clock import database_now
from batchtokens.services.reports.find_missed import Found, Search
from batchtokens.services.reports.find_newly_closed import find_newly_closed, note_next_closes

CODE = "occurrence_missed"
LOOK_BACK = dt.timedelta(days=7)  # what no worker was there to report, `operations missed` names
RECENTLY = dt.timedelta(days=1)
MOST_COUNTED = 10_000

logger = logging.getLogger(__name__)


def report_missed(*, now: dt.datetime | None = None) -> Iterator[int]:
    """Report what was not reported yet; yield of how many, a page of mandates at a time.

    A caller may stop after any page. Two workers leave one row each.
    """
    at = now or database_now()
    search = Search(since=at - LOOK_BACK)
    for looked in find_newly_closed(search, at=at):
        fresh = _unreported(looked.found)
        for found in fresh:
            _report(found, at)
        note_next_closes(looked, after=at - search.grace)
        yield len(fresh)


def missed_recently(*, now: dt.datetime | None = None) -> int:
    """Return how many were reported within the last day: one indexed count."""
    since = (now or database_now()) - RECENTLY
    return SecurityEvent.objects.filter(code=CODE, at__gte=since).count()


def missed_by_executor(*, now: dt.datetime) -> Counter[str]:
    """Return, by the executor's client id, how many were reported within the last day.

    One statement, which reads the newest MOST_COUNTED of them.
    """
    reported = SecurityEvent.objects.filter(code=CODE, at__gte=now - RECENTLY).order_by("-at")
    return Counter(reported.values_list("client__client_id", flat=True)[:MOST_COUNTED])


def _unreported(page: Sequence[Found]) -> list[Found]:
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
