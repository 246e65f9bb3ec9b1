"""Steps of people, clients and staff: consent, issue, hold, resume, cancel, lower, freeze."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from django.db import transaction

from accounts.models import User
from batchtokens.errors import ConsentNotValid
from batchtokens.models import Consent, ConsentMode, HoldKind
from batchtokens.services.confirm_consent import confirm_consent
from batchtokens.services.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.freeze_operations import freeze_operations
from batchtokens.services.hold import hold_operation, resume_operation
from batchtokens.services.issue import Issued
from batchtokens.services.lower_limits import Limits, lower_limits
from batchtokens.services.revoke import cancel_operation
from batchtokens_verifier.constraints import Amount, format_instant
from tests import factories, mandates
from tests.mandate_faults import any_fault
from tests.mandate_model import Mandate
from tests.mandate_words import Refusal
from tests.mandate_worlds import MOST_MANDATES, SHAPES, TOLD, MandatesWorld, outcome, usd

HOLDERS = ["user", "user", "client", "staff", "system"]
LOWER = [("max_total", 9000), ("max_total", 14000), ("max_total", 90000)]
LOWER += [("max_individual_amount", 4000), ("max_individual_amount", 5500)]
LOWER += [("max_occurrences", 1), ("max_occurrences", 2), ("max_occurrences", 9)]


Model = Callable[[], Refusal | None]


class DecisionSteps(MandatesWorld):
    """Each step does something, or says False where there is nothing to do it to."""

    def issue(self, luck: Random) -> bool | None:
        """Exchange a token of Alice's, with her consent where it takes one."""
        live = [each for each in self.mandates if not each.has_ended(self.clock)]
        if self.around.off or len(live) >= MOST_MANDATES:
            return False
        limits, fixed = SHAPES[luck.choice(sorted(SHAPES))]
        # Times are whole minutes at issue, as the slow model counts them.
        start = self.clock.replace(second=0) + timedelta(seconds=luck.choice([0, 0, 0, 3600]))
        validity = {"valid_from": start, "valid_to": start + timedelta(days=4, hours=2)}
        members = {"periodic_limits": None, **limits}
        members |= {name: format_instant(instant) for name, instant in validity.items()}
        operation = dict(mandates.OPERATION, reference=f"mandate {len(self.mandates)}")
        if not fixed:
            del operation["amount"]
        asked: dict[str, Any] = {"operation": operation, **members}
        if self.world.kind.consent == ConsentMode.EXACT:
            shown = self.confirmed_consent(asked)
            self.consents.append((shown, asked))
            asked = asked | {"consent_id": shown.public_id}
        self.exchange(mandates.exchange_request(self.world, **asked), members, fixed, luck)
        return None

    def confirmed_consent(self, asked: dict[str, Any]) -> Consent:
        """Show Alice a mandate; she confirms its digest with a code, which is spent."""
        shown = mandates.consent(self.world, confirmed=False, **asked)
        digits = f"{self.codes:04}".translate(str.maketrans("01", "AB"))
        self.codes += 1
        code = factories.recovery_code(self.world.alice, f"CDEF-GHJK-MNPQ-{digits}")
        confirm_consent(
            by=mandates.grant_of(self.world.alice),
            public_id=shown.public_id,
            otp=code,
            mandate_digest=shown.mandate_digest,
        )
        TOLD["confirmed with a code"] += 1
        return shown

    def exchange(
        self, request: ExchangeRequest, members: dict[str, Any], fixed: bool, luck: Random
    ) -> None:
        request = ExchangeRequest(**vars(request) | {"idempotency_key": f"i-{len(self.issued)}"})
        number = len(self.issued)

        def judge(found: Any) -> None:
            assert isinstance(found, Issued)
            if len(self.issued) > number:  # to a retry the same token again
                assert found.token == self.issued[number][0].token
                return
            wire = {name: value for name, value in members.items() if value is not None}
            amount = 5000 if fixed else None
            self.issued.append([found])
            self.mandates.append(Mandate(wire, amount, self.lease, self.clock, self.around))
            TOLD["issued"] += 1

        by = self.world.trigger.client
        call = partial(exchange_access_token, by=by, request=request)
        self.suffer("issue", any_fault(luck), call, judge)

    def use_a_consent_again(self, luck: Random) -> bool | None:
        if not self.consents or self.around.off:
            return False
        shown, asked = luck.choice(self.consents)
        request = mandates.exchange_request(self.world, **asked, consent_id=shown.public_id)
        by = self.world.trigger.client
        assert outcome(partial(exchange_access_token, by=by, request=request)) is ConsentNotValid
        TOLD["ConsentNotValid"] += 1
        return None

    def change(self, what: str, luck: Random, number: int, service: Any, model: Model) -> None:
        call = partial(service, operation_id=self.issued[number][0].row.pk)
        self.agree(what, any_fault(luck), call, model)

    def hold(self, luck: Random) -> None:
        number, by = self.chosen(luck), luck.choice(HOLDERS)
        service = partial(hold_operation, by=HoldKind(by))
        mandate = self.mandates[number]
        self.change("held", luck, number, service, lambda: mandate.hold(by, self.clock))

    def resume(self, luck: Random) -> bool | None:
        """Lift a hold, mostly by who set it."""
        held = [n for n, each in enumerate(self.mandates) if each.holds]
        if not held:
            return False
        number = luck.choice(held)
        mandate = self.mandates[number]
        by = luck.choice([*sorted(mandate.holds) * 2, luck.choice(HOLDERS)])
        service = partial(resume_operation, by=HoldKind(by))
        self.change("resumed", luck, number, service, lambda: mandate.resume(by, self.clock))
        return None

    def cancel(self, luck: Random) -> None:
        number, by = self.chosen(luck), HoldKind(luck.choice(HOLDERS))
        mandate = self.mandates[number]
        service = partial(cancel_operation, by=by)
        self.change("cancelled", luck, number, service, lambda: mandate.cancel(self.clock))

    def disturb_the_end(self, luck: Random) -> bool | None:
        """Hold, resume or cancel what has ended: it stays as it is."""
        ended = [n for n, each in enumerate(self.mandates) if each.has_ended(self.clock)]
        if not ended:
            return False
        number = luck.choice(ended)
        mandate = self.mandates[number]
        by = luck.choice(HOLDERS)
        kind = HoldKind(by)
        choices: list[tuple[Any, Model]] = [
            (partial(hold_operation, by=kind), lambda: mandate.hold(by, self.clock)),
            (partial(resume_operation, by=kind), lambda: mandate.resume(by, self.clock)),
            (partial(cancel_operation, by=kind), lambda: mandate.cancel(self.clock)),
        ]
        service, model = luck.choice(choices)
        self.change("changed", luck, number, service, model)
        return None

    def lower(self, luck: Random) -> None:
        number, (name, value) = self.chosen(luck), luck.choice(LOWER)
        is_count = name == "max_occurrences"
        wire: Any = value if is_count else usd(value)
        asked: Any = value if is_count else Amount(value, "USD")
        limits = Limits(**{name: asked})
        mandate = self.mandates[number]
        self.change(
            "lowered",
            luck,
            number,
            partial(lower_limits, limits=limits),
            lambda: mandate.lower(name, wire, self.clock),
        )

    def freeze(self, luck: Random) -> None:
        with transaction.atomic():
            freeze_operations(user=self.world.alice)
        for mandate in self.mandates:
            mandate.freeze(self.clock)
        TOLD["frozen"] += 1

    def switch_alice_off(self, luck: Random) -> None:
        self.switch(off=True)

    def switch_alice_on(self, luck: Random) -> bool | None:
        if not self.around.off:
            return False
        self.switch(off=False)
        return None

    def switch(self, *, off: bool) -> None:
        self.around.off = off
        User.objects.filter(pk=self.world.alice.pk).update(is_active=not off)
        self.world.alice.refresh_from_db()
        TOLD["switched off" if off else "switched on"] += 1
