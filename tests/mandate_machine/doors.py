"""What every door tells of a mandate, at any time: the same (I9).

Those of the authority tell what is so; offline, an executor knows its keys, the copy, the clock it
goes by and how old its status list is, and of consumption nothing.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.tokens.keyring import current_key_ring
from batchtokens.models import OperationToken
from batchtokens.services.mandates.introspect import INACTIVE, introspect_operation_token
from batchtokens.services.redemption.check_redemption import check_redemption
from batchtokens.services.status.status_lists import forget_status_lists, sign_status_list
from batchtokens.services.status.status_places import status_list_uri
from batchtokens_verifier.claims import CLOCK_SKEW_SECONDS
from batchtokens_verifier.errors import (
    LimitExceeded,
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OperationTokenNotValid,
    OutsideValidity,
    ProblemError,
    StatusUnavailable,
)
from batchtokens_verifier.policy import ExecutorPolicy, verify_operation_token
from batchtokens_verifier.status_list import Status, StatusList, verify_status_list
from tests import mandates
from tests.mandate_machine.model import Mandate
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Refusal, Request, cents
from tests.mandate_machine.world import World

POLICY = ExecutorPolicy(
    settings.ISSUER_URL, mandates.EXECUTOR_AUDIENCE, frozenset({"savings.deposit"})
)
SKEW = timedelta(seconds=CLOCK_SKEW_SECONDS)
LIST_LASTS = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Look:
    """What an executor goes by: its clock; whether the copy was edited; a list, if it has one."""

    at: datetime
    edited: bool = False
    listed: StatusList | None = None


class Doors(World):
    """Ask every door."""

    def all_doors_agree(self) -> None:
        """Introspection, status list, check and offline verifier tell what the model tells (I9)."""
        published = self.published()
        for number, (mandate, signed) in enumerate(zip(self.mandates, self.issued, strict=True)):
            for signature, issued in enumerate(signed):
                is_last = signature == len(signed) - 1
                self.introspection_agrees(mandate, issued.token, is_last=is_last)
            row = signed[-1].row
            assert published.value(row.status_index or 0) == self.status(mandate)
            self.check_agrees(number, mandate, row)
            self.offline_agrees(number, published)

    def status(self, mandate: Mandate) -> Status:
        """Return what is published: of a hold that it is one, where the type says so."""
        if is_over(mandate) or self.around.off:
            return Status.INVALID
        if not mandate.holds:
            return Status.VALID
        return Status.SUSPENDED if self.shows_suspended else Status.INVALID

    def introspection_agrees(self, mandate: Mandate, token: str, *, is_last: bool) -> None:
        """Ask as the executor, and as its trigger or one that it was not issued to."""
        told = introspect_operation_token(by=self.world.redeemer, token=token)
        other = self.fate.choice([self.world.trigger.client, self.rival])
        expected = INACTIVE if other == self.rival else told
        assert introspect_operation_token(by=other, token=token) == expected
        runs = is_last and mandate.believed and self.status(mandate) == Status.VALID
        lives = runs and self.clock < mandate.valid_to
        assert told["active"] == lives
        TOLD[f"introspection: {'active' if lives else 'inactive'}"] += 1
        if not lives:
            assert told == INACTIVE
            return
        counted = mandate.counted()
        assert told["exp"] == mandate.valid_to.timestamp()
        assert told["consumption"] == {
            "redeemed": len(counted),
            "settled": mandate.settled(),
            "occurrences": most_runs(mandate),
            "amount_minor": str(sum(taken.minor for taken in counted)),
            "currency": "USD",
        }

    def published(self) -> StatusList:
        forget_status_lists()
        listed = OperationToken.objects.select_related("status_list")[0].status_list
        assert listed
        token = sign_status_list(public_id=listed.public_id).token
        found = verify_status_list(
            token,
            keys=current_key_ring().verification_keys(),
            uri=status_list_uri(listed.pk),
            now=self.clock,
            issuer=settings.ISSUER_URL,
        )
        assert found.iat == self.clock.timestamp()
        return found

    def check_agrees(self, number: int, mandate: Mandate, row: OperationToken) -> None:
        """Asking whether it would run is answered as a redemption would be, caps aside."""
        tried = deepcopy(mandate)
        tried.around.caps, tried.believed = {}, True
        minor = None if mandate.fixed is not None else 1
        request = Request(number, number, minor, None, mandate.signatures - 1)
        expected = tried.redeem(request, self.clock)
        found = check_redemption(by=self.world.alice, public_id=row.public_id)
        assert (type(found.refusal) if found.refusal else None) == (
            expected if isinstance(expected, type) else None
        )
        if not isinstance(expected, type):
            assert found.slot
            assert found.slot.name == expected.slot
        left, counted = found.remaining, mandate.counted()
        assert left.occurrences == max(0, most_runs(mandate) - len(counted))
        total = mandate.effective.get("max_total")
        assert (left.total.minor if left.total else None) == (
            max(0, cents(total) - sum(taken.minor for taken in counted)) if total else None
        )
        TOLD["check: would run" if found.refusal is None else "check: would not"] += 1
        if expected is LimitExceeded:
            TOLD[f"check: LimitExceeded {tried.passed}"] += 1

    # Offline

    def offline_agrees(self, number: int, published: StatusList) -> None:
        """Judge a mandate now, and by a clock that shows another time, with a list or without."""
        mandate, row = self.mandates[number], self.issued[number][-1].row
        operation = row.details["operation"]
        edges = [mandate.issued_at - SKEW, mandate.valid_from - SKEW, mandate.valid_to]
        ends = [self.clock + LIST_LASTS, *edges]
        at = self.fate.choice(ends) + SECOND * self.fate.choice([-1, 0, 0])
        for look in (
            Look(self.clock),
            Look(self.clock, edited=True),
            Look(self.clock, listed=published),
            Look(at),
            Look(at, listed=published),
        ):
            copy = dict(operation, reference="another") if look.edited else operation
            found = verdict(self.issued[number][-1].token, look, copy)
            expected = self.offline(mandate, look)
            age = f", status of age {max(0, seconds_since(self.clock, look.at))}"
            fine = "fine, consumption unknown" + (age if look.listed else "")
            assert found == (expected.__name__ if expected else fine)
            TOLD[f"offline: {found.partition(', status')[0]}"] += 1
        for former in self.issued[number][:-1]:  # its key was found out
            assert verdict(former.token, Look(self.clock), operation) == "OperationTokenNotValid"

    def offline(self, mandate: Mandate, look: Look) -> Refusal | None:
        if not mandate.believed or look.at < mandate.issued_at - SKEW:
            return OperationTokenNotValid
        if look.edited:
            return OperationMismatch
        if not mandate.valid_from - SKEW <= look.at < mandate.valid_to:
            return OutsideValidity
        if look.listed is None:
            return None
        if look.at >= self.clock + LIST_LASTS:
            return StatusUnavailable
        told: dict[Status, Refusal] = {
            Status.INVALID: OperationRevoked,
            Status.SUSPENDED: OperationHeld,
        }
        return told.get(self.status(mandate))


def verdict(token: str, look: Look, operation: Any) -> str:
    """Say what the verifier says: the name of its refusal, or how much it knows."""
    try:
        found = verify_operation_token(
            token,
            keys=current_key_ring().verification_keys(),
            policy=POLICY,
            now=look.at,
            operation=operation,
            status_list=look.listed,
        )
    except ProblemError as refusal:
        return type(refusal).__name__
    age = "" if found.status_age is None else f", status of age {found.status_age}"
    return f"fine, consumption {found.consumption}{age}"


def seconds_since(start: datetime, at: datetime) -> int:
    return int((at - start).total_seconds())


def most_runs(mandate: Mandate) -> int:
    lowered: int = mandate.lowered.get("max_occurrences", mandate.capacity)
    most: int = min(mandate.capacity, lowered)
    return most


def is_over(mandate: Mandate) -> bool:
    """Say whether it is told to be over, but for time: what verifiers see for themselves."""
    cancelled, done = mandate.cancelled_at is not None, mandate.settled() >= mandate.capacity
    return cancelled or done or mandate.waits_for_signature
