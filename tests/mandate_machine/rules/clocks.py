"""How the database's clock moves: on, back, and to where something begins or ends."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from tests.mandate_machine.world import World

CLOCK_STEPS = [1, 59, 120, 300, 301, 1800, 3600, 6 * 3600, 24 * 3600, -1, -3600, -48 * 3600]


class ClockRules(World):
    """Whatever the clock may show next."""

    def move_the_clock(self, luck: Random) -> None:
        self.set_clock(self.clock + timedelta(seconds=luck.choice(CLOCK_STEPS)))

    def go_to_the_end_of_a_lease(self, luck: Random) -> bool | None:
        ends = [
            taken.lease_ends
            for mandate in self.mandates
            for taken in mandate.taken.values()
            if taken.status == "reserved"
        ]
        if not ends:
            return False
        self.set_clock(luck.choice(ends) + timedelta(seconds=luck.choice([-1, 0, 1])))
        return None

    def go_to_a_boundary(self, luck: Random) -> None:
        """Go to where a slot opens or closes, mostly to the nearest one ahead."""
        mandate = self.mandates[self.chosen(luck)]
        edges = [mandate.valid_from, mandate.valid_to]
        edges += [edge for each in mandate.slots for edge in (each.first, each.last)]
        ahead = sorted(edge for edge in edges if edge > self.clock) or edges
        edge = luck.choice(edges) if luck.random() < 0.2 else ahead[0]
        self.set_clock(edge + timedelta(seconds=luck.choice([-1, 0, 1])))
