"""What the authority's staff and processes do: stop and cap executors, change keys, seal, look."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings

from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import rotate_signing_keys
from batchtokens.errors import LedgerBehind
from batchtokens.models import LedgerEntry, OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.fetch_token import fetch_reissued_token
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.stop_executor import start_executor, stop_executor
from batchtokens_verifier.jws import Purpose
from tests.mandate_machine.faults import any_fault
from tests.mandate_machine.promises import Promises
from tests.mandate_machine.rules.insiders import InsiderRules
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.world import outcome

PARTIES = ["user", "trigger", "executor", "type"]
CAPS: list[dict[str, int]] = [
    {},
    {},
    {"max_count_day": 1},
    {"max_count_day": 3},
    {"max_minor_day": 8000},
    {"max_count_minute": 1},
    {"max_count_minute": 2, "max_minor_day": 20000},
]


class AuthorityRules(InsiderRules, Promises):
    """Staff, and what runs by itself."""

    def stop_the_executor(self, luck: Random) -> None:
        self.perhaps_turn_back(luck)
        self.decide_on_the_executor(stop_executor, "a fault of theirs", stopped=True)

    def start_the_executor(self, luck: Random) -> bool | None:
        if not self.around.stopped:
            return False
        self.decide_on_the_executor(start_executor, "mended", stopped=False)
        return None

    def decide_on_the_executor(self, service: Any, reason: str, *, stopped: bool) -> None:
        """Stop or start it; the authority's own chain tells when, by the database's clock (I8)."""
        chain = LedgerEntry.objects.of_authority().order_by("seq")
        before = chain.last()
        control = service(executor=self.world.redeemer, reason=reason)
        assert (control.stopped_at is not None) == stopped
        self.around.stopped = stopped
        after = chain.last()
        assert before
        assert after
        if after.seq == before.seq:  # it was stopped by staff before
            assert stopped
        else:
            assert after.at == max(before.at, self.clock)
        TOLD["executor stopped" if stopped else "executor started"] += 1

    def cap_the_executor(self, luck: Random) -> None:
        """Cap what it reserves in a day or a minute; sometimes take the caps away."""
        most = luck.choice(CAPS)
        currency = "USD" if "max_minor_day" in most else ""
        caps = Caps(**most, currency=currency)
        set_caps(executor=self.world.redeemer, caps=caps, reason="new caps")
        self.around.caps = most
        TOLD["capped" if most else "uncapped"] += 1

    def find_a_key_out(self, luck: Random) -> None:
        """Find the key of a mandate compromised: all that it has signed is disowned."""
        kid = self.issued[self.chosen(luck)][-1].row.kid
        find_out = partial(retire_signing_key, kid=kid, reason="in a backup", compromised=True)

        def judge(_: object) -> None:
            for number, (mandate, signed) in enumerate(
                zip(self.mandates, self.issued, strict=True)
            ):
                if signed[-1].row.kid == kid and mandate.believed:
                    mandate.disown(self.clock)
                    if mandate.waits_for_signature:
                        self.kept_until[number] = None
                    TOLD["disowned"] += 1

        self.perhaps_turn_back(luck)
        self.suffer("find a key out", any_fault(luck), find_out, judge)

    def sign_anew(self, luck: Random) -> bool | None:
        """Sign what waits for it, and let its trigger fetch it."""
        if not any(mandate.waits_for_signature for mandate in self.mandates):
            return False

        def reissue() -> None:
            list(reissue_operations(among=reissuable(), reason="all honest"))

        def judge(_: object) -> None:
            for number, mandate in enumerate(self.mandates):
                if mandate.reissue(self.clock):
                    self.fetch(number)

        self.perhaps_turn_back(luck)
        self.suffer("sign anew", any_fault(luck), reissue, judge)
        return None

    def fetch(self, number: int) -> None:
        row = OperationToken.objects.get(pk=self.issued[number][0].row.pk)
        by = self.world.trigger.client
        fetched = fetch_reissued_token(by=by, public_id=row.public_id)
        self.issued[number].append(Issued(fetched.operation_token, row))
        self.kept_until[number] = fetched.available_until
        TOLD["signed anew"] += 1

    def rotate(self, luck: Random) -> None:
        """Let a successor sign, until verifiers would take no more keys."""
        rotate = partial(
            rotate_signing_keys,
            overlap=timedelta(0),
            purposes=[Purpose.OPERATION, Purpose.RECEIPT, Purpose.CHECKPOINT],
        )
        TOLD["rotated" if isinstance(outcome(rotate), list) else "TooManyKeys"] += 1

    def seal(self, luck: Random) -> None:
        """Seal what is new, sometimes as a sealer that has just begun."""
        if luck.random() < 0.5:
            self.sealing = Sealing()
        self.all_is_sealed(self.sealing)
        TOLD["sealed"] += 1

    def empty_the_sink(self, luck: Random) -> bool | None:
        """Take the checkpoints away for one redemption: nothing is decided without them (I2)."""
        request = self.honest(luck)
        if not self.mandates[request.mandate].believed:
            return False
        if not self.heads:
            self.seal(luck)
        sink: Path = settings.LEDGER_SINK
        aside = sink.rename(sink.with_name("aside"))
        forget_sink()
        try:
            self.refused("redeem", partial(self.send, self.new_key(), request), LedgerBehind)
        finally:
            aside.rename(sink)
            forget_sink()
        return None

    def look_at_all_doors(self, luck: Random) -> None:
        """Look at them, mostly while somebody is switched off."""
        who = luck.choice(PARTIES)
        alone = who not in self.around.off
        if alone:
            self.switch(who, off=True)
        self.all_doors_agree()
        if alone:
            self.switch(who, off=False)
            TOLD[f"looked while off: {who}"] += 1
