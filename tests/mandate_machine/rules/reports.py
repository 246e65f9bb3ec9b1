"""What the authority says by itself of runs that were missed: each once, none too early (I7)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from accounts.models import SecurityEvent
from batchtokens.services.reports.find_missed import Search, find_occurrences
from batchtokens.services.reports.report_missed import CODE, LOOK_BACK, report_missed
from tests.mandate_machine.faults import Fault, any_fault
from tests.mandate_machine.occurrences import GRACE, closes, tell
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.world import World

SECOND = timedelta(seconds=1)


class ReportRules(World):
    """The hourly report, whenever it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: set[str] = set()  # by `missed:op_….o3`
        self.looked: dict[int, datetime] = {}  # by mandate: when it was reported about last

    def report_the_missed(self, luck: Random) -> None:
        """Report, perhaps at the very instant at which a run becomes a missed one."""
        if luck.random() < 0.6:
            ends = [end for mandate in self.mandates for end in closes(mandate).values()]
            if ahead := sorted(end + GRACE for end in ends if end + GRACE >= self.clock):
                self.set_clock(max(self.clock, ahead[0] + luck.choice([-1, 0, 1, 1]) * SECOND))
        self.report(any_fault(luck))

    def report(self, fault: Fault) -> None:
        self.suffer("report", fault, lambda: sum(report_missed()), self.judge_report)

    def judge_report(self, found: int) -> None:
        missed = self.missed()
        events = SecurityEvent.objects.filter(code=CODE).select_related("user", "client")
        told = {event.correlation or "": event for event in events}
        new = told.keys() - self.reported
        assert len(events) == len(told)
        assert found <= len(new)  # fewer, where it was reported before an end that nobody saw
        since = self.clock - LOOK_BACK
        may = {name for name, (_, closed) in missed.items() if closed >= since} - self.reported
        # What a clock that went back leaves for a second look may be left out: it was looked at.
        must = {n for n in may if missed[n][1] >= self.looked_until(missed[n][0])}
        assert must <= new <= may
        for name in new:
            assert (told[name].user, told[name].client) == (self.world.alice, self.world.redeemer)
            assert told[name].at == self.clock
        self.reported |= new
        for number in range(len(self.mandates)):
            self.looked[number] = max(self.looked.get(number, self.clock), self.clock)
        TOLD["report: missed"] += len(new)

    def looked_until(self, number: int) -> datetime:
        return self.looked[number] - GRACE if number in self.looked else self.earliest

    def missed(self) -> dict[str, tuple[int, datetime]]:
        """Return, by name, what is missed now: of which mandate, and when its window was over."""
        return {
            f"missed:{self.issued[number][0].row.public_id}.{slot}": (number, closes(mandate)[slot])
            for number, mandate in enumerate(self.mandates)
            for slot, state in tell(mandate, self.clock).items()
            if state == "missed"
        }

    def every_missed_one_was_reported(self) -> None:
        """Report once more, then ask for all that was missed, whenever it was."""
        self.report(Fault())
        assert sorted(self.missed()) == sorted(f"missed:{name}" for name in self.found_missed())

    def found_missed(self) -> Iterator[str]:
        for page in find_occurrences(Search()):
            yield from (found.name for found in page)
