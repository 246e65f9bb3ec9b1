"""Verify every token's chain, and that its row and redemptions are what it adds up to (I2, I15).

Reads only, one page of tokens at a time; names the first bad entry of each bad chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from batchtokens.models import LedgerEntry, OperationToken, RedemptionStatus, entry_hash, instant
from batchtokens_verifier.canonical import canonicalize

PAGE = 500


@dataclass(frozen=True)
class Finding:
    """Something wrong: at which operation, at which entry (0: the row itself), what."""

    operation_id: str
    seq: int
    problem: str


def verify_ledger() -> Iterator[tuple[int, list[Finding]]]:
    """Yield, a page at a time, how many chains were read and what is wrong with them."""
    last = None
    while True:
        page = list(_page(last))
        if not page:
            return
        yield len(page), _verify_page(page)
        last = page[-1].pk


def _page(after: Any) -> QuerySet[OperationToken]:
    taken = ~Q(redemptions__status=RedemptionStatus.RELEASED)
    tokens = OperationToken.objects.annotate(
        real_count=Count("redemptions", filter=taken & Q(redemptions__isnull=False)),
        real_sum=Sum("redemptions__amount_minor", filter=taken),
        real_settled=Count("redemptions", filter=Q(redemptions__status=RedemptionStatus.SETTLED)),
    ).order_by("pk")
    return tokens.filter(pk__gt=after)[:PAGE] if after else tokens[:PAGE]


def _verify_page(page: list[OperationToken]) -> list[Finding]:
    entries = LedgerEntry.objects.filter(operation_token__in=[token.pk for token in page])
    chains = {
        key: list(chain)
        for key, chain in groupby(
            entries.order_by("operation_token_id", "seq"), lambda entry: entry.operation_token_id
        )
    }
    findings = (_verify_token(token, chains.get(token.pk, [])) for token in page)
    return [finding for finding in findings if finding is not None]


def _verify_token(token: Any, chain: list[LedgerEntry]) -> Finding | None:
    previous = ""
    for number, entry in enumerate(chain, start=1):
        if problem := _entry_problem(token, entry, number, previous):
            return Finding(token.public_id, number, problem)
        previous = entry.hash
    if problem := _row_problem(token, chain):
        return Finding(token.public_id, 0, problem)
    return None


def _entry_problem(
    token: OperationToken, entry: LedgerEntry, number: int, previous: str
) -> str | None:
    if entry.seq != number:
        return f"entry {number} is missing"
    if entry_hash(entry.entry) != entry.hash:
        return "the entry's hash is wrong"
    try:
        body = json.loads(entry.entry)
    except ValueError:
        return "the entry is not JSON"
    if canonicalize(body).decode() != entry.entry:
        return "the entry is not canonical"
    if body["prev"] != previous:
        return "the chain is broken"
    columns = (token.token_hash, entry.seq, entry.kind, instant(entry.at))
    if (body["token"], body["seq"], body["kind"], body["at"]) != columns:
        return "the entry's columns differ from its text"
    return None


def _row_problem(token: Any, chain: list[LedgerEntry]) -> str | None:
    if not chain:
        return "there is no entry"
    head = chain[-1]
    if (token.seq, token.head_hash) != (head.seq, head.hash):
        return "the row's head is not the chain's"
    if json.loads(head.entry)["state"] != token.state():
        return "the row's state differs from the chain's"
    real = (token.real_count, token.real_sum or 0, token.real_settled)
    if real != (token.taken_count, token.taken_minor, token.settled_count):
        return "the redemptions do not add up to the row's state"
    return None
