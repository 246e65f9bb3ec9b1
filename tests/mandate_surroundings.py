"""Steps of what is around mandates: an executor's switch and cap, keys, the sealer, the clock."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import rotate_signing_keys
from accounts.tokens.errors import TooManyKeys
from batchtokens.models import OperationToken
from batchtokens.services.fetch_token import fetch_reissued_token
from batchtokens.services.issue import Issued
from batchtokens.services.reissue import reissuable, reissue_operations
from batchtokens.services.seal import Sealing
from batchtokens.services.stop_executor import Caps, set_caps, start_executor, stop_executor
from batchtokens_verifier.jws import Purpose
from tests.mandate_promises import MandatePromises
from tests.mandate_worlds import TOLD

CLOCK_STEPS = [1, 59, 120, 300, 301, 1800, 3600, 6 * 3600, 24 * 3600, -1, -3600, -48 * 3600]


class SurroundingSteps(MandatePromises):
    """Each step does something, or says False where there is nothing to do it to."""

    def stop_the_executor(self, luck: Random) -> None:
        stop_executor(executor=self.world.redeemer, reason="a fault of theirs")
        self.around.stopped = True
        TOLD["executor stopped"] += 1

    def start_the_executor(self, luck: Random) -> bool | None:
        if not self.around.stopped:
            return False
        start_executor(executor=self.world.redeemer, reason="mended")
        self.around.stopped = False
        TOLD["executor started"] += 1
        return None

    def cap_the_executor(self, luck: Random) -> None:
        """Cap what it reserves in a day; mostly take the cap away."""
        most = luck.choice([None, None, 1, 3])
        set_caps(executor=self.world.redeemer, caps=Caps(max_count_day=most), reason="a new cap")
        self.around.most_a_day = most
        TOLD["capped" if most else "uncapped"] += 1

    def find_a_key_out(self, luck: Random) -> None:
        """Find the key of a mandate compromised: all that it has signed is disowned."""
        kid = self.issued[self.chosen(luck)][-1].row.kid
        retire_signing_key(kid=kid, reason="found in a backup", compromised=True)
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            if signed[-1].row.kid == kid and mandate.believed:
                mandate.disown(self.clock)
                TOLD["disowned"] += 1

    def sign_anew(self, luck: Random) -> bool | None:
        if not any(mandate.waits_for_signature for mandate in self.mandates):
            return False
        list(reissue_operations(among=reissuable(), reason="all honest"))
        for mandate, signed in zip(self.mandates, self.issued, strict=True):
            if mandate.reissue(self.clock):
                row = OperationToken.objects.get(pk=signed[0].row.pk)
                by = self.world.trigger.client
                fetched = fetch_reissued_token(by=by, public_id=row.public_id)
                signed.append(Issued(fetched.operation_token, row))
                TOLD["signed anew"] += 1
        return None

    def rotate(self, luck: Random) -> None:
        purposes = [Purpose.OPERATION, Purpose.RECEIPT]
        try:
            rotate_signing_keys(overlap=timedelta(0), purposes=purposes)
            TOLD["rotated"] += 1
        except TooManyKeys:
            TOLD["TooManyKeys"] += 1

    def seal(self, luck: Random) -> None:
        if luck.random() < 0.5:
            self.sealing = Sealing()
        self.all_is_sealed(self.sealing)
        TOLD["sealed"] += 1

    def look_at_all_doors(self, luck: Random) -> None:
        self.all_doors_agree()

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
