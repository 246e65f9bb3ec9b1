"""What people, clients and staff decide: hold, resume, cancel, lower, freeze, switch off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from django.db import transaction

from accounts.models import ServiceClient, User
from batchtokens.models import HoldKind, OperationType
from batchtokens.services.mandates.freeze_operations import freeze_operations
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens_verifier.constraints import Amount
from tests.mandate_machine.faults import any_fault
from tests.mandate_machine.rules.consents import ConsentRules
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Refusal, usd

HOLDERS = ["user", "user", "client", "staff", "system"]
LOWER = [("max_total", 9000), ("max_total", 14000), ("max_total", 90000)]
LOWER += [("max_individual_amount", 4000), ("max_individual_amount", 5500)]
LOWER += [("max_occurrences", 1), ("max_occurrences", 2), ("max_occurrences", 9)]
WHO = ["user", "user", "trigger", "executor", "type"]
Model = Callable[[], Refusal | None]


class PeopleRules(ConsentRules):
    """Whoever has a say over a mandate."""

    def change(self, what: str, luck: Random, number: int, service: Any, model: Model) -> None:
        call = partial(service, operation_id=self.issued[number][0].row.pk)
        self.agree(what, any_fault(luck), call, model)

    def hold(self, luck: Random) -> None:
        number, by = self.chosen(luck), luck.choice(HOLDERS)
        service = partial(hold_operation, by=HoldKind(by))
        mandate = self.mandates[number]
        self.change("hold", luck, number, service, lambda: mandate.hold(by, self.clock))

    def resume(self, luck: Random) -> bool | None:
        """Lift a hold, mostly by who set it."""
        held = [number for number in self.live() if self.mandates[number].holds]
        if not held:
            return False
        number = luck.choice(held)
        mandate = self.mandates[number]
        by = luck.choice([*sorted(mandate.holds) * 3, luck.choice(HOLDERS)])
        service = partial(resume_operation, by=HoldKind(by))
        self.change("resume", luck, number, service, lambda: mandate.resume(by, self.clock))
        return None

    def cancel(self, luck: Random) -> None:
        number, by = self.chosen(luck), HoldKind(luck.choice(HOLDERS))
        mandate = self.mandates[number]
        service = partial(cancel_operation, by=by)
        self.change("cancel", luck, number, service, lambda: mandate.cancel(self.clock))

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
        self.change("disturb", luck, number, service, model)
        return None

    def lower(self, luck: Random) -> None:
        number, (name, value) = self.chosen(luck), luck.choice(LOWER)
        is_count = name == "max_occurrences"
        wire: Any = value if is_count else usd(value)
        asked: Any = value if is_count else Amount(value, "USD")
        limits = Limits(**{name: asked})
        mandate = self.mandates[number]
        self.change(
            "lower",
            luck,
            number,
            partial(lower_limits, limits=limits),
            lambda: mandate.lower(name, wire, self.clock),
        )

    def freeze(self, luck: Random) -> None:
        """Freeze the account, twice where nobody heard that it was done."""

        def judge(_: object) -> None:
            for mandate in self.mandates:
                mandate.freeze(self.clock)
            self.void_consents()
            TOLD["frozen"] += 1

        def freeze() -> None:
            with transaction.atomic(durable=True):
                freeze_operations(user=self.world.alice)

        self.perhaps_turn_back(luck)
        self.suffer("freeze", any_fault(luck), freeze, judge)

    def switch_off(self, luck: Random) -> None:
        self.switch(luck.choice(WHO), off=True)

    def switch_on(self, luck: Random) -> bool | None:
        if not self.around.off:
            return False
        self.switch(luck.choice(sorted(self.around.off)), off=False)
        return None

    def switch(self, who: str, *, off: bool) -> None:
        self.around.off = self.around.off | {who} if off else self.around.off - {who}
        row = {
            "user": (User, self.world.alice),
            "trigger": (ServiceClient, self.world.trigger.client),
            "executor": (ServiceClient, self.world.executor.client),
            "type": (OperationType, self.world.kind),
        }[who]
        model, instance = row
        model._default_manager.filter(pk=instance.pk).update(is_active=not off)
        instance.refresh_from_db()
        TOLD[f"switched {who} {'off' if off else 'on'}"] += 1

    def resume_though_switched_off(self, luck: Random) -> bool | None:
        """Have a person lift a hold who was switched off while they asked."""
        live = self.live()
        if not live:
            return False
        self.switch("user", off=True)
        number = luck.choice(live)
        mandate = self.mandates[number]
        service = partial(resume_operation, by=HoldKind.USER)
        self.change("resume", luck, number, service, lambda: mandate.resume("user", self.clock))
        self.switch("user", off=False)
        return None
