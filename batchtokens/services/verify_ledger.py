"""Verify every token's chain, and that its row and redemptions are what it adds up to (I2, I15).

Reads only, one page of tokens at a time; names the first bad entry of each bad chain. What looks
wrong is read again under the row's lock, because a redemption may have come in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from django.db import transaction

from batchtokens.models import (
    EntryKind,
    LedgerEntry,
    OperationToken,
    Redemption,
    entry_hash,
    instant,
    salted_digest,
)
from batchtokens_verifier.canonical import canonicalize, parameter_digest, parse_json
from batchtokens_verifier.constraints import Amount, parse_instant
from batchtokens_verifier.errors import ProblemError

PAGE = 500
# What a text that is no entry makes Python raise.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ProblemError)


@dataclass(frozen=True)
class SlotState:
    """What the chain says of one slot. minor: minor units."""

    status: str
    attempt: int
    minor: int
    currency: str
    counts_at: str


Slots = dict[str, SlotState]


@dataclass(frozen=True)
class Finding:
    """Something wrong: at which operation, at which entry (0: the row itself), what."""

    operation_id: str
    seq: int
    problem: str


def verify_ledger() -> Iterator[tuple[int, list[Finding]]]:
    """Yield, a page at a time, how many chains were read and what is wrong with them."""
    last = None
    while page := list(_page(last)):
        suspects = [token for token, finding in _verify_page(page) if finding]
        yield len(page), [found for token in suspects if (found := _verify_locked(token))]
        last = page[-1].pk


def _page(after: Any) -> Any:
    tokens = OperationToken.objects.order_by("pk")
    return tokens.filter(pk__gt=after)[:PAGE] if after else tokens[:PAGE]


def _verify_locked(token: OperationToken) -> Finding | None:
    with transaction.atomic():
        locked = OperationToken.objects.select_for_update(no_key=True).get(pk=token.pk)
        ((_, finding),) = _verify_page([locked])
        return finding


def _verify_page(page: list[OperationToken]) -> list[tuple[OperationToken, Finding | None]]:
    keys = [token.pk for token in page]
    entries = LedgerEntry.objects.filter(operation_token__in=keys)
    redemptions = Redemption.objects.filter(operation_token__in=keys)
    chains = _by_token(entries.order_by("operation_token_id", "seq"))
    slots = _by_token(redemptions.order_by("operation_token_id", "slot"))
    return [
        (token, _verify_token(token, chains.get(token.pk, []), slots.get(token.pk, [])))
        for token in page
    ]


def _by_token(rows: Any) -> dict[Any, list[Any]]:
    return {key: list(group) for key, group in groupby(rows, lambda row: row.operation_token_id)}


def _verify_token(
    token: OperationToken, chain: list[LedgerEntry], redemptions: list[Redemption]
) -> Finding | None:
    previous, slots = "", Slots()
    for number, entry in enumerate(chain, start=1):
        try:
            problem = _entry_problem(token, entry, number, previous)
            _fold(slots, json.loads(entry.entry))
        except _UNREADABLE:
            problem = "the entry cannot be read"
        if problem:
            return Finding(token.public_id, number, problem)
        previous = entry.hash
    try:
        problem = _row_problem(token, chain, slots, redemptions)
    except _UNREADABLE:
        problem = "the row cannot be read"
    return Finding(token.public_id, 0, problem) if problem else None


def _entry_problem(
    token: OperationToken, entry: LedgerEntry, number: int, previous: str
) -> str | None:
    if entry.seq != number:
        return f"entry {number} is missing"
    if entry_hash(entry.entry) != entry.hash:
        return "the entry's hash is wrong"
    body = parse_json(entry.entry)
    if canonicalize(body).decode() != entry.entry:
        return "the entry is not canonical"
    if body["prev"] != previous:
        return "the chain is broken"
    columns = (token.token_hash, entry.seq, entry.kind, instant(entry.at))
    if (body["token"], body["seq"], body["kind"], body["at"]) != columns:
        return "the entry's columns differ from its text"
    # An erased note stays provable, a changed one shows.
    if entry.note and salted_digest(bytes(token.salt), entry.note) != body["data"]["note"]:
        return "the note is not the one that was recorded"
    return None


def _fold(slots: Slots, entry: Mapping[str, Any]) -> None:
    """Apply one entry to what the chain says of each slot."""
    kind, data = entry["kind"], entry["data"]
    if kind == EntryKind.RESERVED:
        amount = Amount.parse(data["amount"], "")
        slots[data["slot"]] = SlotState(
            kind, data["attempt"], amount.minor, amount.currency, data["counts_at"]
        )
    elif kind in (EntryKind.SETTLED, EntryKind.RELEASED):
        slots[data["slot"]] = replace(slots[data["slot"]], status=kind)


def _row_problem(
    token: OperationToken, chain: list[LedgerEntry], slots: Slots, redemptions: list[Redemption]
) -> str | None:
    if not chain:
        return "there is no entry"
    head = chain[-1]
    if (token.seq, token.head_hash) != (head.seq, head.hash):
        return "the row's head is not the chain's"
    if json.loads(head.entry)["state"] != token.state():
        return "the row's state differs from the chain's"
    if problem := _signed_problem(token, _signed(chain)):
        return problem
    if {r.slot: _as_folded(r) for r in redemptions} != slots:
        return "the redemptions are not those of the chain"
    return None


def _signed(chain: list[LedgerEntry]) -> dict[str, Any]:
    """Return what the first entry tells, with the key and bytes of the last signature."""
    told: dict[str, Any] = json.loads(chain[0].entry)["data"]
    for entry in chain:
        if entry.kind == EntryKind.REISSUED:
            data = json.loads(entry.entry)["data"]
            told |= {"jws": data["jws"], "kid": data["kid"]}
    return told


def _signed_problem(token: OperationToken, issued: Mapping[str, Any]) -> str | None:
    """Compare what was signed with the row."""
    details = salted_digest(bytes(token.salt), canonicalize(token.details).decode())
    signed = (issued["jws"], issued["kid"], issued["parameter_digest"], issued["details"])
    if signed != (token.jws_digest, token.kid, token.parameter_digest, details):
        return "the row is not what was issued"
    operation = parse_json(token.operation)
    if operation != token.details["operation"] or (
        parameter_digest(operation) != token.parameter_digest
    ):
        return "the operation is not the one that was issued"
    validity = [parse_instant(token.details[name], "") for name in ("valid_from", "valid_to")]
    if validity != [token.valid_from, token.valid_to]:
        return "the validity is not the one that was issued"
    return None


def _as_folded(redemption: Redemption) -> SlotState:
    return SlotState(
        redemption.status,
        redemption.attempt,
        redemption.amount_minor,
        redemption.currency,
        instant(redemption.counts_at),
    )
