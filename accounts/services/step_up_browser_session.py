"""Note that a person proved anew, in a browser where they are signed in, who they are."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import RequestContext, SessionFamily, acr_of
from accounts.services.record_event import NOWHERE, record_event


def step_up_browser_session(
    *,
    family: SessionFamily,
    amr: Sequence[str],
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> bool:
    """Let the place say when and how; it ends when it would have. False if it has ended.

    The caller gives the browser a new session key.
    """
    now = now or timezone.now()
    said = {"auth_time": now, "acr": acr_of(list(amr)), "amr": list(amr), "last_used_at": now}
    with transaction.atomic(durable=True):
        stepped_up = SessionFamily.objects.not_ended().filter(pk=family.pk).update(**said) == 1
        if stepped_up:
            data = {"session": family.public_id, "amr": list(amr)}
            record_event(code="stepped_up", user=family.user, data=data, context=context, now=now)
    for name, value in said.items():
        setattr(family, name, value)
    return stepped_up
