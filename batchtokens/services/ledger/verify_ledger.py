"""Verify every token's chain, and that its row and redemptions are what it adds up to (I2, I15).

Reads only, one page of tokens at a time; names the first bad entry of each bad chain. What looks
wrong is read again under the row's lock, because a redemption may have come in between. The chains
are folded by the code that verifies exports offline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import transaction

from accounts.tokens.backend import verify_token
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
    LedgerEntry,
    OperationToken,
    Redemption,
    RedemptionAttempt,
    instant,
    salted_digest,
)
from batchtokens.services.consent.verify_consent import consent_problem
from batchtokens.services.ledger.restored_entries import restored_hashes
from batchtokens_verifier.canonical import canonicalize, parameter_digest, parse_json
from batchtokens_verifier.constraints import parse_instant
from batchtokens_verifier.errors import LedgerNotValid
from batchtokens_verifier.jws import Purpose, decode_object, unverified_kid
from batchtokens_verifier.ledger import AUTHORITY, UNREADABLE, Chain, SlotState, entry_hash

PAGE = 500


@dataclass(frozen=True)
class Finding:
    """Something wrong: at which operation, at which entry (0: the row itself), what.

    operation_id: "authority" for the authority's own chain, "tree" for the Merkle tree, whose seq
    is a leaf's index.
    """

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
    if found := _verify_authority():
        yield 0, [found]
    yield from _verify_lost()


def _tokens() -> Any:
    parties = ("user", "client", "executor", "operation_type")
    return OperationToken.objects.select_related(*parties, "consent")


def _page(after: Any) -> Any:
    tokens = _tokens().order_by("pk")
    return tokens.filter(pk__gt=after)[:PAGE] if after else tokens[:PAGE]


def _verify_locked(token: OperationToken) -> Finding | None:
    with transaction.atomic():
        locked = _tokens().select_for_update(no_key=True, of=("self",)).get(pk=token.pk)
        ((_, finding),) = _verify_page([locked])
        return finding


def _verify_authority() -> Finding | None:
    own = LedgerEntry.objects.of_authority().order_by("seq")
    return _verify_rowless(AUTHORITY, own.iterator(PAGE))


def _verify_lost() -> Iterator[tuple[int, list[Finding]]]:
    """Verify the chains whose rows a restored database has lost; what they add up to is no row."""
    entries = LedgerEntry.objects.of_lost_tokens().order_by("lost_token", "seq")
    for name, chain in groupby(entries.iterator(PAGE), lambda entry: entry.lost_token):
        found = _verify_rowless(name, chain)
        yield 1, [found] if found else []


def _verify_rowless(name: str, entries: Iterable[LedgerEntry]) -> Finding | None:
    chain = Chain(name)
    for number, entry in enumerate(entries, start=1):
        if problem := _entry_problem(chain, entry, number, salt=b""):
            return Finding(name, number, problem)
    return None


@dataclass(frozen=True)
class _Stored:
    """What is stored of one token beside its row."""

    chain: list[LedgerEntry]
    redemptions: list[Redemption]
    attempts: list[RedemptionAttempt]


def _verify_page(page: list[OperationToken]) -> list[tuple[OperationToken, Finding | None]]:
    keys = [token.pk for token in page]
    entries = LedgerEntry.objects.filter(operation_token__in=keys)
    redemptions = Redemption.objects.filter(operation_token__in=keys)
    attempts = RedemptionAttempt.objects.filter(redemption__operation_token__in=keys)
    chains = _by_token(entries.order_by("operation_token_id", "seq"))
    slots = _by_token(redemptions.order_by("operation_token_id", "slot"))
    owners = {r.pk: r.operation_token_id for group in slots.values() for r in group}
    answered: dict[Any, list[RedemptionAttempt]] = {}
    for attempt in attempts:
        answered.setdefault(owners.get(attempt.redemption_id), []).append(attempt)
    return [
        (token, _verify_token(token, _Stored(chains.get(pk, []), slots.get(pk, []), answers)))
        for token in page
        for pk, answers in [(token.pk, answered.get(token.pk, []))]
    ]


def _by_token(rows: Any) -> dict[Any, list[Any]]:
    return {key: list(group) for key, group in groupby(rows, lambda row: row.operation_token_id)}


def _verify_token(token: OperationToken, stored: _Stored) -> Finding | None:
    chain = Chain(token.token_hash)
    for number, entry in enumerate(stored.chain, start=1):
        if problem := _entry_problem(chain, entry, number, salt=bytes(token.salt)):
            return Finding(token.public_id, number, problem)
    try:
        problem = _row_problem(token, chain, stored)
    except UNREADABLE:
        problem = "the row cannot be read"
    return Finding(token.public_id, 0, problem) if problem else None


def _entry_problem(chain: Chain, entry: LedgerEntry, number: int, *, salt: bytes) -> str | None:
    """Fold one stored entry in; return what is wrong with it."""
    if entry.seq != number:
        return f"entry {number} is missing"
    if entry_hash(entry.entry) != entry.hash:
        return "the entry's hash is wrong"
    try:
        chain.add(entry.entry)
        body = parse_json(entry.entry)
        if (body["kind"], body["at"]) != (entry.kind, instant(entry.at)):
            return "the entry's columns differ from its text"
        # An erased note stays provable, a changed one shows.
        if entry.note and salted_digest(salt, entry.note) != body["data"].get("note"):
            return "the note is not the one that was recorded"
    except LedgerNotValid as error:
        return error.detail
    except UNREADABLE:
        return "the entry cannot be read"
    return None


def _row_problem(token: OperationToken, chain: Chain, stored: _Stored) -> str | None:
    if not chain.seq:
        return "there is no entry"
    if (token.seq, token.head_hash) != (chain.seq, chain.head):
        return "the row's head is not the chain's"
    if chain.state != token.state():
        return "the row's state differs from the chain's"
    if problem := _signed_problem(token, chain.issued) or consent_problem(token, chain.issued):
        return problem
    if {r.slot: as_folded(r) for r in stored.redemptions} != chain.slots:
        return "the redemptions are not those of the chain"
    return _receipts_problem(chain, stored)


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


def as_folded(redemption: Redemption) -> SlotState:
    """Return what the chain must say of a redemption's slot."""
    return SlotState(
        redemption.status,
        redemption.attempt,
        redemption.amount_minor,
        redemption.currency,
        instant(redemption.counts_at),
    )


def _receipts_problem(chain: Chain, stored: _Stored) -> str | None:
    """Each reservation has its answer, each answer a receipt of ours that names its entry."""
    told = {
        (a.redemption_id, a.attempt): _entry_of(a.receipt, a.redemption_id, a.attempt)
        for a in stored.attempts
    }
    if not _are_answered(told, chain):
        return "the receipts are not those of the chain"
    closings = {
        r.pk: _entry_of(r.closing_receipt, r.pk, r.attempt)
        for r in stored.redemptions
        if r.closing_receipt
    }
    return None if closings == chain.closings else "a closing receipt is not that of the chain"


def _are_answered(told: Mapping[Any, str], chain: Chain) -> bool:
    """Tell whether each reservation has its answer, but for those that an export brought back."""
    if told == chain.attempts:
        return True
    lost = {key: entry for key, entry in chain.attempts.items() if key not in told}
    restored = restored_hashes(set(lost.values()), token_hash=chain.token)
    return {**told, **lost} == chain.attempts and restored >= set(lost.values())


def _entry_of(receipt: str, redemption_id: str, attempt: int) -> str:
    """Return the hash of the entry that a receipt proves; "" where it is not one of ours.

    A key that is no longer published, because it was compromised, proves nothing; its receipts
    must still name their entries.
    """
    try:
        claims = decode_object(receipt.split(".")[1])
        if current_key_ring().has(unverified_kid(receipt) or ""):
            claims = verify_token(receipt, purpose=Purpose.RECEIPT)
        named = (claims["jti"], claims["attempt"]) == (redemption_id, attempt)
        return str(claims["entry_hash"]) if named else ""
    except UNREADABLE:
        return ""
