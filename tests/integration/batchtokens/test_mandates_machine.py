"""A machine that does with mandates whatever can be done, in any order, and never errs.

Each step is done by the services, on PostgreSQL, and by the model in memory; then both must tell
the same (I1 to I6, I8, I13 to I16), and the ledger must verify. Steps may crash in the middle, come
again, come late, come with another's papers, and meet clocks that go back.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from accounts.models import User
from accounts.services.rotate_signing_keys import rotate_signing_keys
from batchtokens.errors import ConsentNotValid
from batchtokens.models import HoldKind, LedgerEntry, LedgerLeaf
from batchtokens.services.exchange import exchange_access_token
from batchtokens.services.freeze_operations import freeze_operations
from batchtokens.services.hold import hold_operation, resume_operation
from batchtokens.services.issue import Issued
from batchtokens.services.lower_limits import Limits, lower_limits
from batchtokens.services.revoke import cancel_operation
from batchtokens.services.seal import Sealing
from batchtokens.services.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.constraints import Amount, format_instant
from batchtokens_verifier.jws import Purpose
from tests import mandates
from tests.mandate_model import Mandate, Request
from tests.mandate_worlds import MOST_MANDATES, SHAPES, TOLD, MandatesWorld, outcome, usd

pytestmark = [pytest.mark.postgresql, pytest.mark.slow, pytest.mark.django_db]

SEED = int(os.environ.get("MACHINE_SEED", "20261122"))
STEPS = int(os.environ.get("MACHINE_STEPS", "2000"))
STEPS_A_WORLD = 50
OCCURRENCES = st.sampled_from([None] * 4 + ["o0", "o1", "o3", "p0", "p0.1", "p1", "p1.0"])
AMOUNTS = st.sampled_from([None, None, 1, 2500, 4999, 5000, 5001, 6000, 6001])
STEPS_OF_CLOCKS = [1, 59, 120, 3600, 12 * 3600, 24 * 3600, 36 * 3600, -1, -3600, -48 * 3600]
AMOUNT_LIMITS = st.sampled_from(["max_total", "max_individual_amount"])
LOWER_AMOUNTS = st.sampled_from([4000, 5500, 12000, 30000])
COUNT_LIMITS, LOWER_COUNTS = st.just("max_occurrences"), st.sampled_from([1, 3])
HOLDERS = st.sampled_from(["user", "client", "staff", "system"])
NOTES = st.sampled_from(["", "paid", "not paid"])


class MandatesMachine(MandatesWorld):
    """What people, clients, executors, queues, keys and clocks may do."""

    # Consent and issue

    @initialize(mode=st.sampled_from(["scope", "exact"]))
    def begin(self, mode: str) -> None:
        self.world = mandates.savings(consent=mode)

    @precondition(lambda self: len(self.mandates) < MOST_MANDATES and not self.off)
    @rule(
        shape=st.sampled_from(sorted(SHAPES)),
        ahead=st.sampled_from([0, 3600]),
        crash=st.integers(0, 9),
    )
    def issue(self, shape: str, ahead: int, crash: int) -> None:
        limits, fixed = SHAPES[shape]
        # Times are whole minutes at issue, as the slow model counts them.
        start = self.clock.replace(second=0) + timedelta(seconds=ahead)
        validity = {"valid_from": start, "valid_to": start + timedelta(days=4, hours=2)}
        members = {"periodic_limits": None, **limits}
        members |= {name: format_instant(instant) for name, instant in validity.items()}
        operation = dict(mandates.OPERATION, reference=f"mandate {len(self.mandates)}")
        if not fixed:
            del operation["amount"]
        asked = {"operation": operation, **members}
        if self.world.kind.consent == "exact":
            shown = mandates.consent(self.world, now=self.clock, **asked)
            self.consents.append((shown, asked))
            asked = asked | {"consent_id": shown.public_id}
        request = mandates.exchange_request(self.world, **asked)

        def exchange() -> Issued:
            return exchange_access_token(
                by=self.world.trigger.client, request=request, now=self.clock
            )

        issued = self.survive(crash, exchange)
        wire = {name: value for name, value in members.items() if value is not None}
        self.issued.append(issued)
        self.mandates.append(
            Mandate(wire, 5000 if fixed else None, self.lease, last_at=issued.row.last_at)
        )

    @precondition(lambda self: self.consents)
    @rule(number=st.integers(0, 9))
    def use_a_consent_again(self, number: int) -> None:
        shown, asked = self.consents[number % len(self.consents)]
        request = mandates.exchange_request(self.world, **asked, consent_id=shown.public_id)
        by = self.world.trigger.client
        refused = outcome(lambda: exchange_access_token(by=by, request=request, now=self.clock))
        assert isinstance(refused, type)
        if not self.off:
            assert refused is ConsentNotValid

    # Redemption

    @precondition(lambda self: self.mandates)
    @rule(
        which=st.integers(0, 9),
        copy_of=st.sampled_from([None] * 9 + [0, 1, 2]),
        minor=AMOUNTS,
        occurrence=st.sampled_from(
            [None, None, None, "o0", "o1", "o3", "p0", "p0.1", "p1", "p1.0"]
        ),
        crash=st.sampled_from([0, 0, 1, 2, 3]),
    )
    def redeem(
        self, which: int, copy_of: int | None, minor: int | None, occurrence: str | None, crash: int
    ) -> None:
        """Present what a queue holds: any token, at any time, with this or that copy beside it."""
        number = self.chosen(which)
        other = number if copy_of is None else self.chosen(copy_of)
        if minor is None and self.mandates[number].fixed is None:
            minor = 2500
        request = Request(number, other, minor, occurrence)
        self.present(f"key-{len(self.answers)}-{self.clock.timestamp()}", request, crash)

    @precondition(lambda self: self.mandates)
    @rule(which=st.integers(0, 9), crash=st.sampled_from([0, 0, 1, 2, 3]))
    def deliver(self, which: int, crash: int) -> None:
        """Redeem as an honest worker and executor do, inside of the validity."""
        number = self.chosen(which)
        mandate = self.mandates[number]
        self.clock = max(self.clock, mandate.valid_from)
        minor = None if mandate.fixed is not None else 2500
        key = f"key-{len(self.answers)}-{self.clock.timestamp()}"
        self.present(key, Request(number, number, minor, None), crash)

    @precondition(lambda self: self.mandates)
    @rule(which=st.integers(0, 9), hours=st.sampled_from([1, 24]))
    def deliver_later(self, which: int, hours: int) -> None:
        self.clock += timedelta(hours=hours)
        self.deliver(which, 0)

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 50), crash=st.sampled_from([0, 0, 1, 2]))
    def retry(self, which: int, crash: int) -> None:
        key = sorted(self.answers)[which % len(self.answers)]
        self.present(key, self.answers[key][0], crash)

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 50), minor=st.sampled_from([1, 777]))
    def retry_with_another_body(self, which: int, minor: int) -> None:
        key = sorted(self.answers)[which % len(self.answers)]
        request = self.answers[key][0]
        other = Request(request.mandate, request.operation_of, minor, request.occurrence)
        self.present(key, other, 0)

    # Settle and release

    @precondition(lambda self: any(mandate.taken for mandate in self.mandates))
    @rule(
        which=st.integers(0, 20),
        close=st.sampled_from(["settle", "settle", "release"]),
        older=st.sampled_from([0, 0, 0, 1]),
        note=NOTES,
        crash=st.sampled_from([0, 0, 2, 3, 4]),
    )
    def close(self, which: int, close: str, older: int, note: str, crash: int) -> None:
        taken = [(number, slot) for number, each in enumerate(self.mandates) for slot in each.taken]
        number, slot = taken[which % len(taken)]
        mandate = self.mandates[number]
        attempt = mandate.taken[slot].attempt - older
        closing = Closing(redemption_id(self.issued[number].row.token_hash, slot), attempt, note)
        service = settle_redemption if close == "settle" else release_redemption
        expected = getattr(mandate, close)(slot, attempt, note, self.clock)
        by = self.world.redeemer
        call = partial(service, by=by, closing=closing, now=self.clock)
        self.agree(expected, lambda: self.survive(crash, call))

    # What people decide

    def change(self, number: int, crash: int, service: Any, expected: Any, **how: Any) -> None:
        pk = self.issued[number].row.pk
        call = partial(service, operation_id=pk, now=self.clock, **how)
        self.agree(expected, lambda: self.survive(crash, call))

    @precondition(lambda self: self.mandates)
    @rule(which=st.integers(0, 9), by=HOLDERS, crash=st.integers(0, 4), sure=st.integers(0, 2))
    def hold(self, which: int, by: str, crash: int, sure: int) -> None:
        if sure:
            return
        number = self.chosen(which)
        expected = self.mandates[number].hold(by, self.clock)
        self.change(number, crash, hold_operation, expected, by=HoldKind(by))

    @precondition(lambda self: any(mandate.holds for mandate in self.mandates))
    @rule(which=st.integers(0, 9), by=HOLDERS, crash=st.integers(0, 4))
    def resume(self, which: int, by: str, crash: int) -> None:
        held = [number for number, mandate in enumerate(self.mandates) if mandate.holds]
        number = held[which % len(held)]
        expected = self.mandates[number].resume(by, self.clock)
        self.change(number, crash, resume_operation, expected, by=HoldKind(by))

    @precondition(lambda self: len(self.mandates) > 1)
    @rule(which=st.integers(0, 9), by=HOLDERS, crash=st.integers(0, 4), sure=st.integers(0, 3))
    def cancel(self, which: int, by: str, crash: int, sure: int) -> None:
        if sure:
            return
        number = self.chosen(which)
        expected = self.mandates[number].cancel(self.clock)
        self.change(number, crash, cancel_operation, expected, by=HoldKind(by))

    @precondition(lambda self: self.mandates)
    @rule(
        which=st.integers(0, 9),
        limit=st.tuples(AMOUNT_LIMITS, LOWER_AMOUNTS) | st.tuples(COUNT_LIMITS, LOWER_COUNTS),
        crash=st.integers(0, 4),
    )
    def lower(self, which: int, limit: tuple[str, int], crash: int) -> None:
        number, (name, value) = self.chosen(which), limit
        wire: Any = value if name == "max_occurrences" else usd(value)
        expected = self.mandates[number].lower(name, wire, self.clock)
        asked: Any = value if name == "max_occurrences" else Amount(value, "USD")
        self.change(number, crash, lower_limits, expected, limits=Limits(**{name: asked}))

    @precondition(lambda self: self.mandates)
    @rule(sure=st.integers(0, 3))
    def freeze(self, sure: int) -> None:
        if sure:
            return
        with transaction.atomic():
            freeze_operations(user=self.world.alice)
        for mandate in self.mandates:
            if not mandate.cancelled and mandate.settled() < mandate.capacity:
                mandate.holds = mandate.holds | {"user"}

    @rule(sure=st.integers(0, 3))
    def switch_alice_off_or_on(self, sure: int) -> None:
        if sure and not self.off:
            return
        self.off = not self.off
        User.objects.filter(pk=self.world.alice.pk).update(is_active=not self.off)

    # Keys, sealing, clocks

    @rule()
    def rotate(self) -> None:
        rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.OPERATION, Purpose.RECEIPT])

    @precondition(lambda self: self.mandates)
    @rule(anew=st.booleans())
    def seal(self, anew: bool) -> None:
        if anew:
            self.sealing = Sealing()
        head = self.sealing.look().head
        entries = LedgerEntry.objects.count()
        assert head
        assert head.size == entries == LedgerLeaf.objects.count() >= self.sealed
        self.sealed = entries

    @rule(seconds=st.sampled_from(STEPS_OF_CLOCKS))
    def move_the_clock(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)

    @precondition(lambda self: any(mandate.taken for mandate in self.mandates))
    @rule(which=st.integers(0, 20), seconds=st.sampled_from([-1, 0, 1]))
    def go_to_the_end_of_a_lease(self, which: int, seconds: int) -> None:
        ends = [taken.lease_ends for each in self.mandates for taken in each.taken.values()]
        self.clock = ends[which % len(ends)] + timedelta(seconds=seconds)

    @precondition(lambda self: self.mandates)
    @rule(which=st.integers(0, 9), slot=st.integers(0, 9), seconds=st.sampled_from([-1, 0, 1]))
    def go_to_a_boundary(self, which: int, slot: int, seconds: int) -> None:
        mandate = self.mandates[self.chosen(which)]
        edges = [mandate.valid_from, mandate.valid_to]
        edges += [edge for each in mandate.slots for edge in (each.first, each.last)]
        self.clock = edges[slot % len(edges)] + timedelta(seconds=seconds)


def test_no_order_of_events_breaks_a_promise() -> None:
    machine = seed(SEED)(MandatesMachine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=STEPS // STEPS_A_WORLD,
            stateful_step_count=STEPS_A_WORLD,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],  # each step is a transaction: a search for less takes long
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"seed {SEED}: {STEPS} steps; {dict(TOLD.most_common())}")
