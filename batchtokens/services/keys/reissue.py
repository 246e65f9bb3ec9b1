"""Sign disowned operations anew: the same claims with another key, and no slot opens again.

The claims, and so the jti, stay byte for byte what they were; only the header and the signature are
new. The queue's runs get the new token in the same transaction, triggers fetch it.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Max, Q

from accounts.tokens.backend import signer
from batchtokens.models import EntryKind, HoldKind, LedgerEntry, OperationToken
from batchtokens.models.clock import DatabaseClock
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.issuing.kept_tokens import keep_token
from batchtokens.services.issuing.signatures import keep_signature
from batchtokens.services.keys.signed_claims import signed_claims
from batchtokens.services.ledger.check_ledger_head import check_ledger
from batchtokens.services.mandates.change_operations import Change, change_operations
from batchtokens.services.mandates.words import Words
from batchtokens.services.queue.queue_anew import Renewed, queue_anew
from batchtokens_verifier.jws import Purpose

PAGE = 200


@dataclass(frozen=True)
class Reissued:
    """What became of one page, by id.

    lost: their claims are not kept. damaged: they are not what their ledger says (I15).
    """

    signed: list[str]
    lost: list[str]
    damaged: list[str]


@dataclass(frozen=True)
class _Case:
    """A locked row's part of the decision. held_for_it: it is held for the signature alone."""

    disowned_at: dt.datetime
    payload: str
    held_for_it: bool


def reissuable() -> OperationTokenQuerySet:
    """Return the disowned operations that are still live; a cancelled one stays so (I16)."""
    return OperationToken.objects.exclude(disowned_at=None).live(DatabaseClock())


def reissue_operations(
    *, among: OperationTokenQuerySet, reason: str, now: dt.datetime | None = None
) -> Generator[Reissued, None, None]:
    """Sign all of `among` anew, each page whole or not at all; yields what became of it.

    As many statements for a page of PAGE as for one row, on PostgreSQL. Raises NoSigningKey,
    LedgerBehind.
    """
    last: Any = None
    while True:
        rows = among.filter(pk__gt=last) if last else among
        page = list(rows.order_by("pk")[:PAGE])
        if not page:
            return
        last = page[-1].pk
        with transaction.atomic(durable=True):
            check_ledger()
            reissued = _reissue(page, reason, now)
        yield reissued


def _reissue(page: list[OperationToken], reason: str, now: dt.datetime | None) -> Reissued:
    claims = signed_claims(page)
    wanted = reissuable().filter(pk__in=list(claims))
    cases = _lock(wanted, claims)
    tokens: dict[uuid.UUID, str] = {}

    def sign(row: OperationToken, at: dt.datetime) -> bool:
        tokens[row.pk] = _sign(row, cases[row.pk])
        return True

    def queue(changed: list[OperationToken], at: dt.datetime) -> None:
        renewed = [Renewed(row, tokens[row.pk], cases[row.pk].disowned_at) for row in changed]
        queue_anew(renewed, at=at)

    change = Change(
        kind=EntryKind.REISSUED,
        by=HoldKind.SYSTEM,
        words=Words(reason=reason),
        apply=sign,
        fields=("kid", "alg", "jws_digest", "sealed_token", "sealed_until"),
        data_of=lambda token: {"jws": token.jws_digest, "kid": token.kid},
        also=queue,
        leave_broken=True,  # or one edited row would keep the others waiting
    )
    locked = OperationToken.objects.filter(pk__in=list(cases))
    changed = change_operations(locked, change=change, now=now) if cases else []
    signed = {token.pk: token.public_id for token in changed}
    return Reissued(
        signed=list(signed.values()),
        lost=[token.public_id for token in page if token.pk not in claims],
        damaged=[t.public_id for t in page if t.pk in cases and t.pk not in signed],
    )


def _lock(wanted: OperationTokenQuerySet, claims: Mapping[uuid.UUID, str]) -> dict[Any, _Case]:
    """Lock those that are still wanted, and read about them what no one can change from now on."""
    rows = wanted.select_for_update(no_key=True).order_by("pk")
    disowned = dict(rows.values_list("pk", "disowned_at"))
    held_for_it = _held_by_disowning(disowned)
    return {
        pk: _Case(disowned_at, claims[pk], pk in held_for_it)
        for pk, disowned_at in disowned.items()
        if disowned_at is not None
    }


def _sign(token: OperationToken, case: _Case) -> str:
    """Set the columns of a new signature; the token waits, sealed, for its trigger."""
    signed = signer(Purpose.OPERATION).sign_payload(case.payload)
    keep_signature(token, signed)
    if token.client_id is not None:  # the built-in trigger hands nothing out
        keep_token(token, signed.token, until=token.valid_to)
    if case.held_for_it:
        token.holds = [kind for kind in token.holds if kind != HoldKind.SYSTEM]
    token.disowned_at = None
    return signed.token


def _held_by_disowning(tokens: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those that the system holds for the signature alone.

    It did not before, it did not again since, and the person is not switched off.
    """
    since = _entries_from_disowning(tokens)
    # In a statement of its own: a joined row would be as it was before the wait for the lock.
    active = OperationToken.objects.filter(pk__in=list(since), user__is_active=True)
    return {pk for pk in active.values_list("pk", flat=True) if _is_held_for_it(since[pk])}


def _entries_from_disowning(tokens: Collection[uuid.UUID]) -> dict[uuid.UUID, list[LedgerEntry]]:
    """Return of each the last entry of its being disowned, the one before it, and all since."""
    disowned = LedgerEntry.objects.filter(operation_token__in=tokens, kind=EntryKind.DISOWNED)
    last = dict(disowned.values_list("operation_token").annotate(Max("seq")))
    told: dict[Any, list[LedgerEntry]] = defaultdict(list)
    if last:
        ranges = (Q(operation_token=pk, seq__gte=seq - 1) for pk, seq in last.items())
        for entry in LedgerEntry.objects.filter(reduce(or_, ranges)).order_by("seq"):
            told[entry.operation_token_id].append(entry)
    return told


def _is_held_for_it(entries: list[LedgerEntry]) -> bool:
    before, *since = entries
    if before.kind == EntryKind.DISOWNED:  # one was taken out
        return False
    held_before = HoldKind.SYSTEM in json.loads(before.entry)["state"]["holds"]
    holds = (json.loads(each.entry)["data"] for each in since if each.kind == EntryKind.HELD)
    return not held_before and all(data.get("by") != HoldKind.SYSTEM for data in holds)
