"""What insiders write behind the ledger's back: nothing decides on it, and it is found (I15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from django.db import models

from batchtokens.errors import LedgerBroken
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, Redemption, RedemptionAttempt
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.hold_many import hold_operations
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.check_redemption import check_redemption
from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.claims import redemption_id
from tests.guards import as_insider
from tests.mandate_machine.rules.executors import ExecutorRules
from tests.mandate_machine.rules.people import PeopleRules
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Request

DAY = timedelta(days=1)
OTHER_STATUS = {"reserved": "released", "released": "reserved"}


@dataclass(frozen=True)
class Edit:
    """What is written into one column. shows: the row that decides is no more what its chain says.

    Else nothing that decides has changed: only who verifies the whole ledger finds it.
    """

    name: str
    value: Callable[[Any], Any]
    shows: bool = True


OF_THE_ROW = [
    Edit("holds", lambda row: [] if row.holds else ["staff"]),
    Edit("lowered", lambda row: {} if row.lowered else {"max_occurrences": 9}),
    Edit("settled_count", lambda row: 0 if row.settled_count else row.taken_count),
    Edit("taken_minor", lambda row: max(0, row.taken_minor - 1)),
    Edit("taken_count", lambda row: row.max_occurrences),
    Edit("head_hash", lambda _: "x" * 43),
    Edit("seq", lambda row: row.seq + 1),
    Edit("cancelled_at", lambda row: None if row.cancelled_at else row.last_at),
    Edit("disowned_at", lambda row: None if row.disowned_at else row.last_at),
    Edit("valid_to", lambda row: row.valid_to + DAY, shows=False),
    Edit("details", lambda row: row.details | {"max_occurrences": 99}, shows=False),
    Edit("summary", lambda row: row.summary + "!", shows=False),
]
OF_A_REDEMPTION = [
    Edit("status", lambda row: OTHER_STATUS.get(row.status, row.status)),
    Edit("amount_minor", lambda row: row.amount_minor + 1),
    Edit("attempt", lambda row: row.attempt + 1, shows=False),
    Edit("counts_at", lambda row: row.counts_at + DAY, shows=False),
    Edit("closing_receipt", lambda _: "a.b.c", shows=False),
]
OF_THE_LAST_ENTRY = [
    Edit("entry", lambda row: row.entry.replace('"v":1', '"v":2')),
    Edit("hash", lambda _: "x" * 43, shows=False),
    Edit("at", lambda row: row.at + DAY, shows=False),
    Edit("note", lambda _: "other words", shows=False),
]
OF_AN_ANSWER = [Edit("receipt", lambda _: "a.b.c", shows=False)]
EDITED = [
    f"edited {model.__name__}.{edit.name}"
    for model, edits in (
        (OperationToken, OF_THE_ROW),
        (Redemption, OF_A_REDEMPTION),
        (LedgerEntry, OF_THE_LAST_ENTRY),
        (RedemptionAttempt, OF_AN_ANSWER),
    )
    for edit in edits
]


class InsiderRules(ExecutorRules, PeopleRules):
    """Who owns the database."""

    def edit_a_row(self, luck: Random) -> bool | None:
        """Change one column of anything that there is of a mandate, and change it back."""
        number = self.chosen(luck)
        row = OperationToken.objects.get(pk=self.issued[number][0].row.pk)
        redemptions = Redemption.objects.filter(operation_token=row).order_by("pk")
        entries = LedgerEntry.objects.filter(operation_token=row).order_by("seq")
        answers = RedemptionAttempt.objects.filter(redemption__operation_token=row)
        places: list[tuple[models.Model | None, list[Edit]]] = [
            (row, OF_THE_ROW),
            (redemptions.last(), OF_A_REDEMPTION),
            (entries.last(), OF_THE_LAST_ENTRY),
            (answers.order_by("idempotency_key").last(), OF_AN_ANSWER),
        ]
        place, edit = luck.choice([(place, edit) for place, of in places if place for edit in of])
        before, after = getattr(place, edit.name), edit.value(place)
        if before == after:
            return False
        with edited(place, edit.name, before=before, after=after):
            if edit.shows:
                self.nothing_decides(number, luck)
            if edit.shows and place is row:
                alone = OperationToken.objects.filter(pk=row.pk)
                assert sum(hold_operations(alone, by=HoldKind.STAFF)) == 0
            told = [found.operation_id for _, page in verify_ledger() for found in page]
            assert told == [row.public_id]
        TOLD[f"edited {type(place).__name__}.{edit.name}"] += 1
        TOLD["edited: found"] += 1
        return None

    def nothing_decides(self, number: int, luck: Random) -> None:
        """Ask some doors that would decide about it: each refuses, whatever it would have said."""
        doors = self.doors(number)
        others = sorted(doors.keys() - {"redeem"})
        for name in [*(doors.keys() & {"redeem"}), *luck.sample(others, min(3, len(others)))]:
            what = name if name == "redeem" else "another door"
            self.refused(what, doors[name], LedgerBroken)

    def doors(self, number: int) -> dict[str, Callable[[], Any]]:
        mandate, row = self.mandates[number], self.issued[number][0].row
        doors: dict[str, Callable[[], Any]] = {
            "hold": partial(hold_operation, operation_id=row.pk, by=HoldKind.STAFF),
            "resume": partial(resume_operation, operation_id=row.pk, by=HoldKind.STAFF),
            "cancel": partial(cancel_operation, operation_id=row.pk, by=HoldKind.STAFF),
            "lower": partial(lower_limits, operation_id=row.pk, limits=Limits(max_occurrences=1)),
            "check": partial(check_redemption, by=self.world.alice, public_id=row.public_id),
        }
        for slot, taken in sorted(mandate.taken.items())[:1]:
            closing = Closing(redemption_id(row.token_hash, slot), taken.attempt)
            for what, service in (("settle", settle_redemption), ("release", release_redemption)):
                doors[what] = partial(service, by=self.world.redeemer, closing=closing)
        if mandate.believed:
            request = Request(number, number, None, None, mandate.signatures - 1)
            line = Line(self.new_key(), self.body(request))
            doors["redeem"] = partial(self.send, self.new_key(), request)
            doors["batch"] = partial(self.only_line, line)
        return doors

    def only_line(self, line: Line) -> Any:
        (found,) = redeem_batch(by=self.world.redeemer, lines=[line])
        if isinstance(found, Exception):
            raise found
        return found


@contextmanager
def edited(place: models.Model, name: str, *, before: object, after: object) -> Iterator[None]:
    """Write another value behind all guards, and the former one at the end."""
    row = type(place)._default_manager.filter(pk=place.pk)
    with as_insider():
        row.update(**{name: after})
    try:
        yield
    finally:
        with as_insider():
            row.update(**{name: before})
