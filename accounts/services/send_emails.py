"""Send what is due in the outbox: at least once, for a worker may die before it notes that it sent.

A message that comes twice carries two links, of which each opens once.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import Error as DatabaseFault
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.crypto import keyed_digests
from accounts.models import EmailKind, Outcome, OutgoingEmail, RateCounter, User
from accounts.models.folded import fold
from accounts.models.outgoing_email import OutgoingEmailQuerySet
from accounts.services.address_email import UNASKED, Addressed, address_email
from accounts.services.draw_link import LIFETIMES, draw_link
from accounts.services.lock_person import lock_person
from accounts.services.record_event import count_refusal, record_event
from accounts.services.write_email import write_email

LEASE = timedelta(minutes=5)  # longer than a mail server's slowest answers take together
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MOST_TRIES = 10
# How many messages that anybody may have sent there reach one mailbox in a window.  The window is
# no longer than the link lives: a mailbox that gets no more has one that opens.
MOST_UNASKED = 3
WINDOW = timedelta(hours=1)

logger = logging.getLogger(__name__)


def send_next_email(*, now: datetime | None = None) -> bool:
    """Send the message that has waited longest; False if none is due.

    Whatever goes wrong with one, the others flow; only the database's own faults are raised.
    """
    now = now or timezone.now()
    row = _claim(now)
    if row is None:
        return False
    try:
        _deliver(row, now)
    except DatabaseFault:
        raise
    except Exception as fault:  # noqa: BLE001 - one message must not stop all others
        _try_again(row, fault, now)
    else:
        _mine(row).update(sent_at=now, address="", data={})
    return True


def _claim(now: datetime) -> OutgoingEmail | None:
    """Lease the next message: whoever dies over it leaves it to the next worker, later."""
    if not OutgoingEmail.objects.due(now).exists():
        return None  # SQLite would let nobody else write for a mere look
    with transaction.atomic(durable=True):
        skip = connection.features.has_select_for_update_skip_locked
        due = OutgoingEmail.objects.due(now).select_for_update(
            skip_locked=skip, of=("self",) if skip else ()
        )
        row = due.select_related("user").first()
        if row is not None:
            row.attempts += 1
            row.due_at = now + LEASE
            row.save(update_fields=["attempts", "due_at"])
    return row


def _deliver(row: OutgoingEmail, now: datetime) -> None:
    if row.attempts > MOST_TRIES:
        raise TimeoutError  # each worker died over it
    if row.kind not in EmailKind.values:
        raise LookupError  # a newer version has queued it: that one's worker has the words
    addressed = address_email(row)
    if addressed is None:
        return
    if not _has_room(addressed, row, now):
        count_refusal(code="email_withheld", reason=addressed.kind, user=addressed.user, now=now)
        return
    message = _written(row, now)
    if message is not None:
        message.send()


def _has_room(addressed: Addressed, row: OutgoingEmail, now: datetime) -> bool:
    """Count a message to a mailbox; the database arbitrates, outside of transactions."""
    if not settings.RATE_LIMITS or addressed.kind not in UNASKED or row.attempts > 1:
        return True
    mailbox = keyed_digests("mail recipient", fold(addressed.to))[0].hex()
    key, at = f"mail:{addressed.kind.value}:{mailbox}", int(now.timestamp())
    if addressed.kind == EmailKind.CHANGE_EMAIL and addressed.user:
        key += f":{addressed.user.pk}"  # another account's links open nothing for this one
    window = min(WINDOW, LIFETIMES[addressed.purpose]) if addressed.purpose else WINDOW
    ends_at = at + int(window.total_seconds())
    if RateCounter.objects.start(key, 1, expires_at=ends_at, now=at):
        return True
    return (RateCounter.objects.add_to(key, 1, now=at) or 1) <= MOST_UNASKED


def _written(row: OutgoingEmail, now: datetime) -> EmailMessage | None:
    """Write the message with a link of its own; None if it was taken back meanwhile.

    Who changes an account locks its person first and then their messages, and so does this: a link
    drawn for an address that was just taken from an intruder would give it back to them.
    """
    with transaction.atomic(durable=True):
        if row.user is not None:
            lock_person(user=row.user)
        locked = _mine(row).select_for_update(of=("self",)).select_related("user").first()
        addressed = address_email(locked) if locked else None
        if addressed is None:
            return None
        token = _draw(addressed, row, now)
        return write_email(addressed, token=token, data=row.data)


def _draw(addressed: Addressed, row: OutgoingEmail, now: datetime) -> str:
    if addressed.purpose is None or addressed.user is None:
        return ""
    return draw_link(
        purpose=addressed.purpose,
        user=addressed.user,
        email=addressed.to,
        told_in=_number_of(addressed.to, addressed.user, row),
        now=now,
    )


def _number_of(address: str, user: User, row: OutgoingEmail) -> int:
    """Return the message's number; what an address is told comes after the change that brought it.

    Its own number may be lower, where both were written at the same instant.
    """
    if address != user.email:
        return row.pk
    changes = OutgoingEmail.objects.filter(user=user, kind=EmailKind.EMAIL_CHANGED)
    last: int | None = changes.aggregate(last=Max("pk"))["last"]
    return row.pk if last is None else max(row.pk, last + 1)


def _mine(row: OutgoingEmail) -> OutgoingEmailQuerySet:
    return OutgoingEmail.objects.unsent().filter(pk=row.pk, attempts=row.attempts)


def _try_again(row: OutgoingEmail, fault: Exception, now: datetime) -> None:
    """Wait, longer each time; in the end, or for what no waiting mends, give up and say so."""
    reason = type(fault).__name__  # its words may hold an address
    logger.warning("e-mail %s (%s), try %s: %s", row.pk, row.kind, row.attempts, reason)
    if row.attempts < MOST_TRIES and not isinstance(fault, ValueError):
        wait = min(FIRST_WAIT * 2 ** (row.attempts - 1), LONGEST_WAIT)
        _mine(row).update(due_at=now + wait)
        return
    with transaction.atomic(durable=True):
        if _mine(row).update(given_up_at=now, address="", data={}):
            record_event(
                code="email_given_up",
                outcome=Outcome.REFUSED,
                user=row.user,
                data={"kind": row.kind, "reason": reason},
                now=now,
            )
