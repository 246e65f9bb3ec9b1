"""Cap what an executor may reserve in a minute and in a day: staff alone do that.

Each change is an entry of the authority's own chain; what changes nothing leaves none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace

from django.db import transaction

from accounts.models import Decision, ServiceClient
from batchtokens.errors import CapsNotValid
from batchtokens.models import EntryKind, ExecutorControl, StoppedBy
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.stop_executor import lock_control, tell_decision
from batchtokens_verifier.constraints import exponent
from batchtokens_verifier.errors import InvalidConstraints

COUNTS, SUMS = ("max_count_minute", "max_count_day"), ("max_minor_minute", "max_minor_day")
CAPS = (*COUNTS, *SUMS, "currency")
MOST_COUNT, MOST_MINOR = 2**31 - 1, 2**53 - 1  # what the columns, and JSON's readers, can hold


@dataclass(frozen=True)
class Caps:
    """What one executor may reserve in a minute and in a UTC day; None: no cap.

    The sums are minor units of `currency`; where there is one, other currencies are refused.
    """

    max_count_minute: int | None = None
    max_count_day: int | None = None
    currency: str = ""
    max_minor_minute: int | None = None
    max_minor_day: int | None = None


def set_caps(
    *,
    executor: ServiceClient,
    caps: Caps,
    named: Collection[str] = CAPS,
    reason: str,
    actor: str = "",
    now: dt.datetime | None = None,
) -> ExecutorControl:
    """Set the caps that are named, by default all; the others stay as they are in the row.

    What was reserved before an executor had a cap does not count. Raises CapsNotValid.
    """
    decision = Decision(StoppedBy.STAFF.value, actor, reason)
    with transaction.atomic(durable=True):
        control = lock_control(executor)
        wanted = caps_with(control, caps, named)
        if wanted != caps_of(control):
            for name, value in vars(wanted).items():
                setattr(control, name, value)
            control.save(update_fields=CAPS)
            told = {name: value for name, value in vars(wanted).items() if value}
            at = now or database_now()
            tell_decision(control, EntryKind.EXECUTOR_CAPPED, decision, at, caps=told)
        return control


def caps_of(control: ExecutorControl) -> Caps:
    return Caps(**{name: getattr(control, name) for name in CAPS})


def caps_with(control: ExecutorControl, caps: Caps, named: Collection[str]) -> Caps:
    """Return its caps with those that are named; a currency goes with the last of the sums.

    Raises CapsNotValid, also where a sum that is not named would be of another currency.
    """
    present = caps_of(control)
    wanted = replace(present, **{name: getattr(caps, name) for name in named})
    sums = {name for name in SUMS if getattr(wanted, name) is not None}
    if not sums and "currency" not in named:
        wanted = replace(wanted, currency="")
    if wanted.currency != present.currency and (others := sums.difference(named)):
        told = f"{' and '.join(sorted(others))} would stay, in {present.currency}: name it, too."
        raise CapsNotValid(told, pointer="/currency")
    check_caps(wanted)
    return wanted


def check_caps(caps: Caps) -> None:
    """Raise CapsNotValid, with the member's pointer, for caps that cap nothing."""
    for most, names in ((MOST_COUNT, COUNTS), (MOST_MINOR, SUMS)):
        for name in names:
            value = getattr(caps, name)
            if value is not None and not 1 <= value <= most:
                raise CapsNotValid(f"A whole number, 1 to {most}.", pointer=f"/{name}")
    summed = any(getattr(caps, name) is not None for name in SUMS)
    if summed != bool(caps.currency):
        raise CapsNotValid("A currency goes with caps of sums.", pointer="/currency")
    if caps.currency:
        try:
            exponent(caps.currency)
        except (InvalidConstraints, KeyError) as error:
            told = f"{caps.currency} is no currency of ISO 4217."
            raise CapsNotValid(told, pointer="/currency") from error
