"""When somebody says "this wasn't me": hold what an intruder may have asked for in their name.

After the thaw the person resumes what is theirs, one by one.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import F

from accounts.models import User
from batchtokens.models import Consent, EntryKind, HoldKind, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.mandates.change_operations import Change, change_operations
from batchtokens.services.mandates.hold import add_hold
from batchtokens.services.mandates.words import Words

INSTANT = dt.timedelta(microseconds=1)
REASON = "The account was frozen."


def on_account_frozen(*, user: User, **others: Any) -> None:
    """Receive accounts' signal, inside its transaction."""
    freeze_operations(user=user)


def freeze_operations(*, user: User) -> int:
    """Put the person's own hold on each live mandate, void open consents; returns how many held.

    Call it in a transaction, under the person's lock: nothing is issued meanwhile.
    """
    now = database_now()
    _void_consents(user, now)
    change = Change(
        kind=EntryKind.HELD,
        by=HoldKind.USER,
        words=Words(user.public_id, REASON),
        apply=_hold,
        leave_broken=True,  # what is damaged runs nowhere, and must not keep an intruder in
    )
    live = OperationToken.objects.for_user(user).live(now)
    return len(change_operations(live, change=change))


def _void_consents(user: User, now: dt.datetime) -> None:
    waiting = Consent.objects.for_user(user).open(now)
    # Over at once, also by a clock that goes back behind the freeze.
    waiting.filter(created_at__lt=now).update(expires_at=F("created_at") + INSTANT)
    # Shown before the clock went back; none may end before it begins, and nobody used these.
    waiting.filter(created_at__gte=now).delete()


def _hold(token: OperationToken, _: dt.datetime) -> bool:
    return add_hold(token, HoldKind.USER)
