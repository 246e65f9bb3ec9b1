"""Count wrong guesses of one address, whichever accounts they are at.

A guess takes its place before it is judged, and gives it back when it was right: its own and no
other, so nobody's success makes room for somebody's guesses.  The counter is a row of the database:
an emptied cache forgets nothing.  Only a counter of the account can end a slow guesser who has many
addresses; this one ends the spraying of many accounts from one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.errors import AccountsError, RateLimited, SealBroken, WaitForAttempt
from accounts.limits import caller_of
from accounts.models import RateCounter, RequestContext
from accounts.services.record_event import count_refusal

# A household mistypes a few times an hour and an office of hundreds some dozens; who sprays needs
# thousands.  No setting: raising it opens every account a little, and nobody needs it lower.
MOST_FAILURES_OF_ADDRESS = 50
FAILURES_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Guess:
    """A place among an address's guesses.  ends_at: seconds since the epoch, names the window."""

    key: str
    ends_at: int


@contextmanager
def counted_guess(*, context: RequestContext, now: datetime | None = None) -> Iterator[None]:
    """Judge a guess in the block: a refusal stays counted, anything else gives its place back.

    A refusal is an AccountsError that leaves the block; one that says to wait, or that the key is
    gone which the guess would be compared under, judged nothing.
    Raises WaitForAttempt.
    """
    guess = claim_guess(context=context, now=now)
    try:
        yield
    except (RateLimited, SealBroken):
        give_back_guess(guess)
        raise
    except AccountsError:
        raise
    except BaseException:
        give_back_guess(guess)
        raise
    give_back_guess(guess)


def claim_guess(*, context: RequestContext, now: datetime | None = None) -> Guess | None:
    """Take a place before anything is judged or hashed; None where limits are off.

    Raises WaitForAttempt.
    """
    if not settings.RATE_LIMITS:
        return None
    now = now or timezone.now()
    at, key = int(now.timestamp()), f"failures:{caller_of(context)}"
    with transaction.atomic(durable=True):
        ends_at = RateCounter.objects.take(
            key,
            most=MOST_FAILURES_OF_ADDRESS,
            expires_at=at + int(FAILURES_WINDOW.total_seconds()),
            now=at,
        )
    if ends_at is None:
        _refuse(key, at, context, now)
    return Guess(key, ends_at)


def give_back_guess(guess: Guess | None) -> None:
    """Give the place back: the guess was right, or was not judged."""
    if guess is not None:
        RateCounter.objects.give_back(guess.key, expires_at=guess.ends_at)


def count_failure(*, context: RequestContext, now: datetime | None = None) -> None:
    """Count what turned out wrong: for secrets that no number of guesses finds.

    Judging those is cheap, and a right one always passes; so a right one costs no statement.
    Raises WaitForAttempt, instead of the refusal, once there were too many.
    """
    claim_guess(context=context, now=now)


def _refuse(key: str, at: int, context: RequestContext, now: datetime) -> NoReturn:
    count_refusal(code="rate_limited", reason="failures", context=context, now=now)
    ends_at = RateCounter.objects.filter(key=key).values_list("expires_at", flat=True).first()
    raise WaitForAttempt(retry_after=max(1, (ends_at or at) - at))
