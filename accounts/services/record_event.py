"""Write the security log.

An event holds codes, public ids and digests; never a secret, a token or a password.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.models import Outcome, RequestContext, SecurityEvent, ServiceClient, User
from accounts.models.security_event import minute_of

NOWHERE = RequestContext()


def record_event(
    *,
    code: str,
    outcome: str = Outcome.SUCCESS,
    user: User | None = None,
    client: ServiceClient | None = None,
    correlation: str | None = None,
    data: Mapping[str, Any] | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Add one event; with a `correlation` that is there already, add nothing."""
    event = SecurityEvent(
        code=code,
        outcome=outcome,
        user=user,
        client=client,
        data=dict(data or {}),
        correlation=correlation,
        **_circumstances(context, now),
    )
    if correlation is None:
        event.save(force_insert=True)
    else:
        SecurityEvent.objects.record_once(event)


def record_events_once(
    events: Sequence[Mapping[str, Any]],
    *,
    client: ServiceClient,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Add those of a client's events whose `correlation` is not there yet, in one statement.

    events: code, outcome, correlation and data of each.
    """
    circumstances = _circumstances(context, now)
    SecurityEvent.objects.record_once(
        *(SecurityEvent(client=client, **event, **circumstances) for event in events)
    )


def count_refusal(
    *,
    code: str,
    reason: str,
    user: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Count a refusal of somebody who is not signed in.

    There is one row for each code, reason, network and minute (and account, where one was
    named), so that an attack fills a log with numbers and not with rows.
    """
    circumstances = _circumstances(context, now)
    account = user.public_id if user else "-"
    minute = minute_of(circumstances["at"])
    SecurityEvent.objects.record_counted(
        SecurityEvent(
            code=code,
            outcome=Outcome.REFUSED,
            user=user,
            data={"reason": reason},
            correlation=f"{code}:{reason}:{account}:{context.network}:{minute}",
            **circumstances,
        )
    )


def actor_data(by: User | None) -> dict[str, str]:
    """Name, in an event about somebody else, who did it; nothing for an operator's command."""
    return {"by": by.public_id} if by else {}


def _circumstances(context: RequestContext, now: datetime | None) -> dict[str, Any]:
    return {
        "at": now or timezone.now(),
        "address": context.address or None,
        "user_agent": context.user_agent,
        "request_id": context.request_id,
    }
