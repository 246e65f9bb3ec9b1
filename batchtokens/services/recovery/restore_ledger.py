"""Heal a restored database from an export: what it has lost is applied again (docs/adr/0034).

Only what the newest head outside covers is believed. Entries, leaves, nodes and heads come back as
they were, and with them the rows that they are the fold of; a token whose row is lost keeps its
chain alone, and is not valid wherever it is presented.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Decision
from accounts.tokens.keyring import forget_key_ring
from batchtokens.errors import LedgerBroken
from batchtokens.models import (
    Checkpoint,
    Consent,
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
    StatusList,
)
from batchtokens.models.clock import database_now
from batchtokens.models.ledger import lock_authority_chain
from batchtokens.models.sealing import (
    BATCH,
    append_leaves,
    stored_root,
    tree_size,
    unsealed_entries,
)
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.reconcile_ledger import lost_checkpoint, record_reconciliation
from batchtokens.services.mandates.change_operations import Change, change_operations
from batchtokens.services.mandates.hold import add_hold, can_change
from batchtokens.services.mandates.words import Words
from batchtokens.services.recovery.fold_rows import fold_rows
from batchtokens.services.recovery.lock_restored import (
    lock_decided,
    lock_open_consents,
    lock_tokens,
)
from batchtokens.services.recovery.read_export import ToldEntry, TrustedExport, read_export
from batchtokens.services.recovery.repeat_decisions import repeat_decisions
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint
from batchtokens_verifier.ledger import AUTHORITY

PAGE = 500
_ALL = 2**31 - 1


@dataclass(frozen=True)
class RestoredChain:
    """What one chain gets back. id: the operation's, "authority", or the hash of a lost token."""

    id: str
    first: int
    last: int
    kinds: str
    known: bool


@dataclass(frozen=True)
class Restored:
    """What was restored. kept: leaves that the database had. held: by the system, ids."""

    head: TreeHead
    kept: int
    entries: int
    chains: list[RestoredChain]
    held: list[str]


@dataclass(frozen=True)
class _Plan:
    """What the database lacks at `at`. loose: ids of the entries without a leaf, by text.

    lacks_rows: tokens are told of that have none; consents: keys of those that are open then.
    """

    export: TrustedExport
    kept: int
    loose: dict[str, int]
    missing: list[ToldEntry]
    tokens: dict[str, OperationToken]
    lacks_rows: bool
    consents: list[uuid.UUID]
    at: dt.datetime


def preview_restore(lines: Sequence[str]) -> Restored:
    """Return what `restore_ledger` would restore, and change nothing."""
    with transaction.atomic():
        plan = _plan(lines)
        transaction.set_rollback(True)
    return _told(plan, held=[])


def restore_ledger(
    lines: Sequence[str], *, reason: str, actor: str = "", now: dt.datetime | None = None
) -> Restored:
    """Apply what an export has and the database lacks; all or nothing.

    Call it as the only sealer. Raises NothingToReconcile; LedgerNotValid or LedgerBehind for an
    export that is not believed; LedgerBroken where the database went on by itself in a chain that
    the export continues.
    """
    with transaction.atomic(durable=True):
        plan = _plan(lines, now)
        ids = _insert_entries(plan)
        _append_tree(plan, ids)
        lost_signatures = _store_rows(plan)
        repeat_decisions([entry for entry in plan.missing if entry.chain == AUTHORITY])
        _forget_open_business(plan)
        held = _hold(plan, lost_signatures, reason=reason, actor=actor, now=now)
        told = {"restored": {"first": plan.kept, "size": plan.export.head.size}}
        decision = Decision("staff", actor, reason)
        record_reconciliation(decision, told, code="ledger_restored", now=now)
    forget_sink()
    forget_key_ring()
    return _told(plan, held)


def _plan(lines: Sequence[str], now: dt.datetime | None = None) -> _Plan:
    newest, kept = lost_checkpoint(), tree_size()
    export = read_export(lines, newest=newest, sizes=[kept])
    if export.roots.get(kept) != stored_root(kept):
        raise LedgerBroken(f"The export does not begin with the database's {kept} leaves.")
    loose = {text: pk for pk, text in unsealed_entries(after=0, limit=_ALL)}
    missing = [entry for entry in export.entries[kept:] if entry.text not in loose]
    chains = {entry.chain for entry in missing}
    told = chains | export.unvouched
    at, lacks_rows = now or database_now(), _lacks_rows(told)
    lock_decided([entry for entry in missing if entry.chain == AUTHORITY])
    consents = lock_open_consents(at) if lacks_rows else []
    locked = lock_tokens(told)
    lock_authority_chain()  # the last lock, as everywhere
    tokens = {chain: row for chain, row in locked.items() if chain in chains}
    _check_forks(missing, tokens)
    return _Plan(export, kept, loose, missing, tokens, lacks_rows, consents, at)


def _check_forks(missing: Sequence[ToldEntry], tokens: Mapping[str, OperationToken]) -> None:
    """Raise LedgerBroken where what is missing does not follow on what is there."""
    begun: set[str] = set()
    for entry in missing:
        if entry.chain in begun:
            continue
        begun.add(entry.chain)
        there = _head_of(entry.chain, tokens.get(entry.chain))
        if there != (entry.seq - 1, entry.body["prev"]):
            name = _name(entry.chain, tokens)
            raise LedgerBroken(f"{name} went on by itself after its entry {entry.seq - 1}.")


def _head_of(chain: str, token: OperationToken | None) -> tuple[int, str]:
    if token is not None:
        return token.seq, token.head_hash
    entries = LedgerEntry.objects.of_authority()
    if chain != AUTHORITY:
        entries = LedgerEntry.objects.filter(lost_token=chain)
    last = entries.order_by("-seq").first()
    return (last.seq, last.hash) if last else (0, "")


def _insert_entries(plan: _Plan) -> dict[str, int]:
    """Store what is missing in the order of its leaves; return all unsealed ids by text."""
    rows = [_entry_row(entry, plan) for entry in plan.missing]
    stored = LedgerEntry.objects.bulk_create(rows, batch_size=PAGE)
    return plan.loose | {row.entry: row.pk for row in stored}


def _entry_row(entry: ToldEntry, plan: _Plan) -> LedgerEntry:
    token = plan.tokens.get(entry.chain)
    is_lost = token is None and entry.chain != AUTHORITY
    return LedgerEntry(
        operation_token=token,
        lost_token=entry.chain if is_lost else "",
        seq=entry.seq,
        kind=entry.kind,
        at=entry.at,
        entry=entry.text,
        hash=entry.hash,
        note=entry.note_of(token) if token else "",
    )


def _append_tree(plan: _Plan, ids: Mapping[str, int]) -> None:
    """Give each entry the leaf that it had, and store the heads that were signed of them."""
    head, beyond = plan.export.head, plan.export.entries[plan.kept :]
    for start in range(0, len(beyond), BATCH):
        some = beyond[start : start + BATCH]
        append_leaves([(ids[entry.text], entry.text) for entry in some])
    if stored_root(head.size) != head.root:
        raise LedgerBroken("The tree does not become that of the head outside.")
    signed = {
        each.head.size: each
        for each in plan.export.checkpoints
        if plan.kept < each.head.size and plan.export.roots.get(each.head.size) == each.head.root
    }
    Checkpoint.objects.bulk_create(map(_checkpoint_row, signed.values()), batch_size=PAGE)


def _checkpoint_row(signed: VerifiedCheckpoint) -> Checkpoint:
    at = dt.datetime.fromtimestamp(signed.iat, dt.UTC)
    return Checkpoint(size=signed.head.size, root=signed.head.root, token=signed.token, at=at)


def _store_rows(plan: _Plan) -> list[OperationToken]:
    """Bring the rows to what was restored; return those whose new signature nobody here has."""
    rows = fold_rows(list(plan.tokens.values()), plan.export.entries)
    for row in rows:
        row.store()
    return [row.token for row in rows if row.signature_lost]


def _forget_open_business(plan: _Plan) -> None:
    """Where tokens are lost, let nothing be given twice that they may have been given.

    A place in a status list is known from their bytes alone, so new tokens get places in new lists;
    a consent that is open here may have bought one of them, so it is asked for again.
    """
    if plan.lacks_rows:
        StatusList.objects.filter(full_at=None).update(full_at=plan.at)
        Consent.objects.filter(pk__among=plan.consents).update(expires_at=plan.at)


def _lacks_rows(chains: Collection[str]) -> bool:
    """Tell whether tokens are among these that have no row here."""
    hashes = set(chains) - {AUTHORITY}
    return OperationToken.objects.filter(token_hash__among=hashes).count() < len(hashes)


def _hold(
    plan: _Plan,
    lost_signatures: Sequence[OperationToken],
    *,
    reason: str,
    actor: str,
    now: dt.datetime | None,
) -> list[str]:
    """Let the system hold what cannot be brought back whole; returns the ids."""

    def hold(token: OperationToken, at: dt.datetime) -> bool:
        return can_change(token, at) and add_hold(token, HoldKind.SYSTEM)

    keys = {token.pk for token in lost_signatures}
    unvouched = OperationToken.objects.filter(token_hash__in=plan.export.unvouched)
    keys |= {token.pk for token in unvouched if not _has_all(token, plan)}
    words = Words(actor, reason)
    change = Change(kind=EntryKind.HELD, by=HoldKind.SYSTEM, words=words, apply=hold)
    among = OperationToken.objects.filter(pk__in=keys)
    return [token.public_id for token in change_operations(among, change=change, now=now)]


def _has_all(token: OperationToken, plan: _Plan) -> bool:
    """Tell whether the database has by itself what no head vouches for."""
    told = [entry for entry in plan.export.unvouched_entries if entry.chain == token.token_hash]
    return all(entry.text in plan.loose for entry in told)


def _told(plan: _Plan, held: list[str]) -> Restored:
    head = plan.export.head
    return Restored(head, plan.kept, len(plan.missing), list(_chains(plan)), held)


def _chains(plan: _Plan) -> Iterator[RestoredChain]:
    by_chain: dict[str, list[ToldEntry]] = defaultdict(list)
    for entry in plan.missing:
        by_chain[entry.chain].append(entry)
    for chain, entries in by_chain.items():
        yield RestoredChain(
            id=_name(chain, plan.tokens),
            first=entries[0].seq,
            last=entries[-1].seq,
            kinds=" ".join(entry.kind for entry in entries),
            known=chain == AUTHORITY or chain in plan.tokens,
        )


def _name(chain: str, tokens: Mapping[str, OperationToken]) -> str:
    return tokens[chain].public_id if chain in tokens else chain
