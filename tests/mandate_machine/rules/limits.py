"""Who asks for more than the limits let through, of whatever kind they are (I1)."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from random import Random

from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens_verifier.errors import LimitExceeded, SlotAlreadyRedeemed
from tests.mandate_machine.faults import Fault, any_fault
from tests.mandate_machine.rules.executors import ExecutorRules
from tests.mandate_machine.rules.people import PeopleRules
from tests.mandate_machine.words import Answer, Refusal, Request

ASKED = [1, 4000]  # of a mandate that leaves it open
MOST_A_WEEK = 6


class LimitRules(ExecutorRules, PeopleRules):
    """An executor that goes on, whatever is used up."""

    def redeem_past_a_limit(self, luck: Random) -> bool | None:
        """Pass any limit that can be passed now; perhaps the person lowers one just before."""
        if luck.random() < 0.4:
            self.use_up(luck)
        elif luck.random() < 0.5 or not self.past_a_limit():
            self.lower_to_what_is_taken(luck)
        found = self.past_a_limit()
        if not found:
            return False
        request = found[luck.choice(sorted(found))]
        self.present(self.new_key(), request, any_fault(luck, often=False))
        return None

    def past_a_limit(self) -> dict[str, Request]:
        """Return, by the kind of limit, a request that would pass it, if it asked for little."""
        found: dict[str, Request] = {}
        for number in self.live():
            for minor in ASKED if self.mandates[number].fixed is None else [None]:
                request = self.next_of(number, minor)
                told, passed = self.would(request)
                if told is LimitExceeded:
                    found[passed] = request
        return found

    def use_up(self, luck: Random) -> None:
        """Take slot after slot, a cent each, of a mandate whose limits count twice."""
        counted_twice = [
            number
            for number in self.live()
            if len(self.mandates[number].constraints.get("periodic_limits", [])) > 1
            and isinstance(self.would(self.next_of(number, 1))[0], Answer)
        ]
        if not counted_twice:
            return
        number = luck.choice(counted_twice)
        mandate = self.mandates[number]
        for _ in range(MOST_A_WEEK):
            told, _ = self.would(self.next_of(number, 1))
            if told is SlotAlreadyRedeemed:
                ahead = [slot.first for slot in mandate.slots if slot.first > self.clock]
                self.set_clock(min(ahead, default=self.clock))
            elif isinstance(told, Answer):
                self.present(self.new_key(), self.next_of(number, 1), Fault())
            else:
                return

    def lower_to_what_is_taken(self, luck: Random) -> None:
        """Let Alice allow no more runs than there were."""
        for number in self.live():
            mandate = self.mandates[number]
            minor = 1 if mandate.fixed is None else None
            told, _ = self.would(self.next_of(number, minor))
            count = len(mandate.counted())
            if count and isinstance(told, Answer) and told.created:
                self.change(
                    "lower",
                    luck,
                    number,
                    partial(lower_limits, limits=Limits(max_occurrences=count)),
                    partial(mandate.lower, "max_occurrences", count, self.clock),
                )
                return

    def next_of(self, number: int, minor: int | None) -> Request:
        return Request(number, number, minor, None, self.mandates[number].signatures - 1)

    def would(self, request: Request) -> tuple[Answer | Refusal, str]:
        """Say what would be answered, and which limit it would pass; nothing has happened then."""
        tried = deepcopy(self.mandates[request.mandate])
        return tried.redeem(request, self.clock), tried.passed
