"""Issue operation tokens for a whole file: checked and composed as single ones, stored by chunks.

A chunk is one transaction. A line that is refused stores nothing and spoils no other; a line with a
reference is issued once, however often its file is read.
"""

from __future__ import annotations

import datetime as dt
import gc
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from django.db import IntegrityError, transaction

from accounts.services.record_event import record_event
from accounts.tokens.backend import Signer, signer
from batchtokens.models import LedgerEntry, OperationToken, QueuedRun
from batchtokens.models.writing import change_many, insert_all, write_together
from batchtokens.services.consent.draft_operation import Drafting
from batchtokens.services.issuing.allow_in_bulk import (
    Decision,
    Desk,
    Mandate,
    Refusal,
    Repeat,
    Tally,
)
from batchtokens.services.issuing.bulk_lines import BulkLine, NumberedText, read_line
from batchtokens.services.issuing.bulk_parties import lock_parties
from batchtokens.services.issuing.issue import Composed, Origin, compose_operation_token
from batchtokens.services.issuing.kept_tokens import KEPT_FOR_RETRIES, kept_token
from batchtokens.services.queue.enqueue import queued_runs
from batchtokens.services.status.status_places import Place, take_places
from batchtokens_verifier.errors import ProblemError
from batchtokens_verifier.jws import Purpose

CHUNK = 1000
RUNS = 5000  # queued runs a statement
ATTEMPTS = 5
OPERATOR = "operator"


class BulkStatus(StrEnum):
    ISSUED = "issued"
    REPEATED = "repeated"
    REFUSED = "refused"


@dataclass(frozen=True)
class Destination:
    """Where the tokens go: a trigger's are queued or handed out, the built-in one's are queued.

    dry_run: nowhere; nothing is stored.
    """

    queue: bool = False
    hand_out: bool = False
    dry_run: bool = False

    def queues(self, mandate: Mandate) -> bool:
        return self.queue or mandate.client is None

    def keeps(self, mandate: Mandate) -> bool:
        """Tell whether a copy is kept, sealed, so that the same line gets the same token again."""
        return self.hand_out and mandate.client is not None and bool(mandate.line.reference)


@dataclass(frozen=True)
class BulkOutcome:
    """What became of a line; `token` is a bearer value, and there only to be handed out."""

    line: int
    status: BulkStatus
    id: str = ""
    error: ProblemError | None = None
    client: str = ""
    token: str = field(default="", repr=False)


def issue_in_bulk(
    lines: Iterable[NumberedText],
    *,
    to: Destination,
    file_digest: str,
    now: dt.datetime | None = None,
) -> Iterator[list[BulkOutcome]]:
    """Issue chunk by chunk; yield the outcomes of each, in the lines' order, when it is committed.

    One security event tells of the whole file, also where it was not read to its end.
    Raises NoSigningKey.
    """
    counts: Counter[str] = Counter({status.value: 0 for status in BulkStatus})
    tally = Tally()
    texts = iter(lines)
    try:
        while chunk := list(islice(texts, CHUNK)):
            with _uncollected():
                outcomes = _issue_chunk(chunk, to, tally if to.dry_run else None, now)
            counts.update(outcome.status.value for outcome in outcomes)
            yield outcomes
    finally:
        if not to.dry_run:
            data = {"file": file_digest, **counts}
            record_event(code="operations_issued_in_bulk", data=data, now=now)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no cycles meanwhile: a chunk makes none, and the looking takes a twentieth of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _issue_chunk(
    texts: Sequence[NumberedText], to: Destination, tally: Tally | None, now: dt.datetime | None
) -> list[BulkOutcome]:
    lines, refused = _read(texts)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True):
                issued = _issue_lines(lines, to, tally or Tally(), now)
        except IntegrityError as error:
            # A place that was drawn, or a reference, was taken meanwhile: what is there shows now.
            if attempt == ATTEMPTS or not _is_clash(error):
                raise
        else:
            return sorted([*issued, *refused], key=lambda outcome: outcome.line)
    raise AssertionError("unreachable")


def _is_clash(error: IntegrityError) -> bool:
    """Tell by the constraint's name on PostgreSQL, by its columns on SQLite."""
    return "status_index" in str(error) or "idempotency_digest" in str(error)


def _read(texts: Sequence[NumberedText]) -> tuple[list[BulkLine], list[BulkOutcome]]:
    lines, refused = [], []
    for text in texts:
        try:
            lines.append(read_line(text))
        except ProblemError as error:
            refused.append(BulkOutcome(text.number, BulkStatus.REFUSED, error=error))
    return lines, refused


def _issue_lines(
    lines: Sequence[BulkLine], to: Destination, tally: Tally, now: dt.datetime | None
) -> list[BulkOutcome]:
    parties = lock_parties(lines, now=now)
    desk = Desk(parties, tally, Drafting(parties.at))
    decisions = [desk.decide(line) for line in lines]
    mandates = [each for each in decisions if isinstance(each, Mandate)]
    composed = {} if to.dry_run else _issue(mandates, to, parties.at)
    return [_outcome(each, composed, to, parties.at) for each in decisions]


def _issue(mandates: Sequence[Mandate], to: Destination, at: dt.datetime) -> dict[int, Composed]:
    """Store rows, entries, spent consents and the queue's runs; return by line what was stored."""
    composed: dict[int, Composed] = {}
    if not mandates:
        return composed
    places, by = _places(mandates, at), signer(Purpose.OPERATION)

    def rows() -> Iterator[OperationToken]:
        # The database takes in the first ones while the next ones are signed.
        for each in mandates:
            place = next(places[each.draft.operation_type.executor.pk])
            made = composed[each.line.number] = _compose(each, to, place, by, at)
            yield made.issued.row

    insert_all(OperationToken, rows())
    insert_all(LedgerEntry, (each.entry for each in composed.values()))
    if consents := [each.consent for each in mandates if each.consent]:
        write_together(*change_many(consents, ["spent_at"]))
    runs = _runs(mandates, composed, to, at)
    # Sealed before the statement begins, whose time is limited: a chunk may have millions.
    while some := list(islice(runs, RUNS)):
        insert_all(QueuedRun, some)
    return composed


def _compose(
    mandate: Mandate, to: Destination, place: Place, by: Signer, at: dt.datetime
) -> Composed:
    return compose_operation_token(
        mandate.draft,
        user=mandate.user,
        client=mandate.client,
        at=at,
        origin=Origin(
            idempotency_digest=mandate.line.key_digest,
            request_digest=mandate.request_digest,
            keep_until=at + KEPT_FOR_RETRIES if to.keeps(mandate) else None,
        ),
        consent=mandate.consent,
        place=place,
        by=by,
        authorised_by=OPERATOR,
    )


def _places(mandates: Sequence[Mandate], at: dt.datetime) -> dict[object, Iterator[Place]]:
    issued = [each.draft.operation_type for each in mandates]
    kinds: dict[uuid.UUID, Any] = {kind.executor_id: kind for kind in issued}
    counts = Counter(kind.executor_id for kind in issued)
    return {
        executor_id: iter(
            take_places(kind.open_list, executor_id=executor_id, at=at, count=counts[executor_id])
        )
        for executor_id, kind in kinds.items()
    }


def _runs(
    mandates: Sequence[Mandate],
    composed: dict[int, Composed],
    to: Destination,
    at: dt.datetime,
) -> Iterator[QueuedRun]:
    for each in mandates:
        if to.queues(each):
            issued = composed[each.line.number].issued
            yield from queued_runs(issued.row, issued.token, at=at, limits=each.draft.constraints)


def _outcome(
    decision: Decision, composed: dict[int, Composed], to: Destination, at: dt.datetime
) -> BulkOutcome:
    match decision:
        case Refusal():
            return BulkOutcome(decision.number, BulkStatus.REFUSED, error=decision.error)
        case Repeat(row=OperationToken() as row):
            known, status = row.public_id, BulkStatus.REPEATED
            token = (kept_token(row, at=at) or "") if to.hand_out and row.client_id else ""
        case Repeat():  # of a line above
            first = composed.get(decision.same_as)
            known, status = first.issued.row.public_id if first else "", BulkStatus.REPEATED
            token = first.issued.token if first and to.hand_out and decision.line.client else ""
        case Mandate():
            made = composed.get(decision.line.number)
            known, status = made.issued.row.public_id if made else "", BulkStatus.ISSUED
            token = made.issued.token if made and to.hand_out and decision.client else ""
    line = decision.line
    return BulkOutcome(line.number, status, known, None, line.client, token)
