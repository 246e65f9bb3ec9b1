"""What a person is shown and confirms, and what triggers buy with it: one use each (I13, I14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from accounts.errors import InvalidOtp
from batchtokens.errors import (
    ConsentMismatch,
    ConsentNotFound,
    ConsentNotValid,
    ConsentRequired,
    SubjectTokenSpent,
)
from batchtokens.models import Consent, ConsentMode
from batchtokens.services.consent.confirm_consent import confirm_consent
from batchtokens.services.issuing.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.issuing.kept_tokens import KEPT_FOR_RETRIES
from batchtokens_verifier.constraints import format_instant
from batchtokens_verifier.errors import IdempotencyMismatch
from tests import factories, mandates
from tests.mandate_machine.faults import any_fault
from tests.mandate_machine.model import Mandate
from tests.mandate_machine.shapes import SHAPES
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Refusal
from tests.mandate_machine.world import RIVAL_AUDIENCE, World

MOST_MANDATES = 6
CONSENT_LASTS = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


@dataclass
class Wish:
    """A mandate that Alice wants. asked: as `mandates.exchange_request` takes it."""

    asked: dict[str, Any]
    members: dict[str, Any]
    fixed: bool


@dataclass
class Shown:
    """A consent in the model: when it was shown, until when it is open, what became of it."""

    wish: Wish
    stored: Consent
    at: datetime
    expires: datetime
    confirmed: bool = False
    spent: bool = False
    deleted: bool = False

    def refuses_a_code(self, clock: datetime) -> Refusal | None:
        if self.deleted:
            return ConsentNotFound
        return ConsentNotValid if self.spent or clock >= self.expires else None

    def buys(self, clock: datetime) -> bool:
        is_open = self.at <= clock < self.expires and not self.deleted
        return self.confirmed and not self.spent and is_open


class ConsentRules(World):
    """From what Alice wants to the token that was issued for it."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Shown] = []
        self.bought: list[ExchangeRequest] = []  # by mandate
        self.kept_until: list[datetime | None] = []  # by mandate: for who comes again

    @property
    def is_exact(self) -> bool:
        return self.world.kind.consent == ConsentMode.EXACT

    def nobody_issues(self) -> bool:
        return bool(self.around.off) or len(self.live()) >= MOST_MANDATES

    def any_wish(self, luck: Random) -> Wish:
        limits, fixed = SHAPES[luck.choice(sorted(SHAPES))]
        # Times are whole minutes at issue, as the slow model counts them.
        start = self.clock.replace(second=0) + timedelta(seconds=luck.choice([0, 0, 0, 3600]))
        validity = {"valid_from": start, "valid_to": start + timedelta(days=4, hours=2)}
        members = {"periodic_limits": None, **limits}
        members |= {name: format_instant(instant) for name, instant in validity.items()}
        number = len(self.issued) + len(self.shown)
        operation = dict(mandates.OPERATION, reference=f"mandate {number}")
        if not fixed:
            del operation["amount"]
        return Wish({"operation": operation, **members}, members, fixed)

    def issue(self, luck: Random) -> bool | None:
        """Go the whole way at once: show, confirm, exchange."""
        if self.nobody_issues():
            return False
        wish, consent_id = self.any_wish(luck), None
        if self.is_exact:
            shown = self.show(wish)
            self.confirm(shown, luck)
            consent_id = shown.stored.public_id
            shown.spent = True
        self.exchange(self.request(wish, consent_id), wish, luck)
        return None

    # Showing and confirming

    def show_a_mandate(self, luck: Random) -> bool | None:
        if not self.is_exact or self.around.off:
            return False
        self.show(self.any_wish(luck))
        return None

    def show(self, wish: Wish) -> Shown:
        stored = mandates.consent(self.world, confirmed=False, **wish.asked)
        shown = Shown(wish, stored, self.clock, self.clock + CONSENT_LASTS)
        self.shown.append(shown)
        return shown

    def confirm_what_was_shown(self, luck: Random) -> bool | None:
        """Confirm it, perhaps too late, perhaps twice."""
        if not self.shown or self.around.off:
            return False
        shown = luck.choice(self.shown[-4:])
        self.perhaps_wait(shown.expires, luck)
        self.confirm(shown, luck)
        return None

    def perhaps_wait(self, end: datetime, luck: Random) -> None:
        """Perhaps wait for the last second, or the first after it."""
        if luck.random() < 0.6 and end > self.clock + SECOND:
            self.set_clock(end - SECOND * luck.choice([0, 0, 1]))

    def confirm(self, shown: Shown, luck: Random) -> None:
        """Confirm with a new code each time: one that a crash came after is spent."""

        def model() -> Refusal | None:
            refusal = shown.refuses_a_code(self.clock)
            shown.confirmed |= refusal is None
            return refusal

        self.agree("confirm", any_fault(luck), lambda: self.send_code(shown, self.code()), model)

    def send_code(self, shown: Shown, code: str, digest: str = "") -> Consent:
        confirmed: Consent = confirm_consent(
            by=mandates.grant_of(self.world.alice),
            public_id=shown.stored.public_id,
            otp=code,
            mandate_digest=digest or shown.stored.mandate_digest,
        )
        return confirmed

    def code(self) -> str:
        """Give Alice one more recovery code."""
        digits = f"{self.codes:04}".translate(str.maketrans("0189", "ABCD"))
        self.codes += 1
        return factories.recovery_code(self.world.alice, f"CDEF-GHJK-MNPQ-{digits}")

    def code_of_the_app(self) -> str:
        """Return what Alice's authenticator shows: once a world, for its time is of no world."""
        shows, self.app = self.app, None
        return shows() if shows else ""

    def confirm_another_text(self, luck: Random) -> bool | None:
        """Send a code for a digest that is not what was shown: it is not even looked at."""
        kept = [shown for shown in self.shown if not shown.deleted]
        if not kept or self.around.off:
            return False
        shown, code = luck.choice(kept), self.code()
        send = partial(self.send_code, shown, code, "sha-256:" + "A" * 43)
        self.refused("confirm", send, ConsentMismatch)
        return None

    def confirm_two_with_one_code(self, luck: Random) -> bool | None:
        if not self.is_exact or self.around.off:
            return False
        first, second = self.show(self.any_wish(luck)), self.show(self.any_wish(luck))
        code = self.code_of_the_app() or self.code()
        self.send_code(first, code)
        first.confirmed = True
        self.refused("confirm", partial(self.send_code, second, code), InvalidOtp)
        return None

    # Exchanging

    def request(self, wish: Wish, consent_id: str | None) -> ExchangeRequest:
        asked = mandates.exchange_request(self.world, **wish.asked, consent_id=consent_id)
        return replace(asked, idempotency_key=f"i-{len(self.bought)}")

    def exchange(self, request: ExchangeRequest, wish: Wish, luck: Random) -> None:
        number = len(self.issued)

        def judge(found: Any) -> None:
            assert isinstance(found, Issued)
            if len(self.issued) > number:  # to a retry the same token again
                assert found.token == self.issued[number][0].token
                return
            wire = {name: value for name, value in wish.members.items() if value is not None}
            amount = 5000 if wish.fixed else None
            self.issued.append([found])
            self.mandates.append(Mandate(wire, amount, self.lease, self.clock, self.around))
            self.bought.append(request)
            self.kept_until.append(self.clock + KEPT_FOR_RETRIES)
            TOLD["issue: done"] += 1

        self.suffer("issue", any_fault(luck), self.exchanging(request), judge)

    def exchanging(self, request: ExchangeRequest) -> Callable[[], Issued]:
        return partial(exchange_access_token, by=self.world.trigger.client, request=request)

    def buy(self, luck: Random) -> bool | None:
        """Exchange with any consent: open, unconfirmed, over, spent or voided."""
        if not self.shown or self.nobody_issues():
            return False
        kinds: dict[tuple[bool, ...], list[Shown]] = {}
        for each in self.shown:
            kind = (each.confirmed, each.spent, self.clock < each.expires)
            kinds.setdefault(kind, []).append(each)
        shown = luck.choice(kinds[luck.choice(sorted(kinds))])
        self.perhaps_wait(shown.expires, luck)
        request = self.request(shown.wish, shown.stored.public_id)
        if shown.buys(self.clock):
            shown.spent = True
            self.exchange(request, shown.wish, luck)
        else:
            self.refused("issue", self.exchanging(request), ConsentNotValid)
        return None

    def exchange_again(self, luck: Random) -> bool | None:
        """Repeat an exchange: the same token for a day, unless nobody may have it any more."""
        if not self.bought:
            return False
        number = luck.randrange(len(self.bought))
        until = self.kept_until[number]
        if until:
            self.perhaps_wait(until, luck)
        again = self.exchanging(self.bought[number])
        if until is not None and self.clock < until:
            assert again().token == self.issued[number][-1].token
            TOLD["issue: repeated"] += 1
        else:
            self.refused("issue again", again, SubjectTokenSpent)
        return None

    def misuse_an_exchange(self, luck: Random) -> bool | None:
        """Use an exchange's key for another one, and its subject token for a second one."""
        if not self.bought or self.around.off:
            return False
        former = luck.choice(self.bought)
        other = replace(former, scope="savings.withdraw")
        self.refused("issue", self.exchanging(other), IdempotencyMismatch)
        wish, consent_id = self.any_wish(luck), None
        if self.is_exact:
            consent_id = self.show_and_confirm(wish).stored.public_id
        request = replace(
            self.request(wish, consent_id), idempotency_key="", subject_token=former.subject_token
        )
        self.refused("issue", self.exchanging(request), SubjectTokenSpent)
        return None

    def show_and_confirm(self, wish: Wish) -> Shown:
        shown = self.show(wish)
        self.send_code(shown, self.code())
        shown.confirmed = True
        return shown

    def buy_something_else(self, luck: Random) -> bool | None:
        """Ask for more than was shown, for another trigger, or with no consent at all."""
        if self.around.off or not self.is_exact:
            return False
        wish = self.any_wish(luck)
        shown = self.show_and_confirm(wish)
        consent_id = shown.stored.public_id
        self.refused("issue", self.exchanging(self.request(wish, None)), ConsentRequired)
        later = wish.asked | {"valid_to": format_instant(self.clock + timedelta(days=5))}
        other = dict(wish.asked["operation"], reference="another")
        for more in (later, wish.asked | {"operation": other}):
            request = self.request(replace(wish, asked=more), consent_id)
            self.refused("issue", self.exchanging(request), ConsentMismatch)
        subject = factories.access_token_for(
            self.world.alice, scope=mandates.META_SCOPE, audience=RIVAL_AUDIENCE
        )
        own = replace(self.request(wish, consent_id), subject_token=subject)
        by_rival = partial(exchange_access_token, by=self.rival, request=own)
        self.refused("issue by another trigger", by_rival, ConsentNotValid)
        return None

    def void_consents(self) -> None:
        """Let the model end what was shown before: the account was frozen."""
        for shown in self.shown:
            if not shown.spent and self.clock < shown.expires:
                shown.deleted = self.clock <= shown.at
                shown.expires = shown.at + timedelta(microseconds=1)
