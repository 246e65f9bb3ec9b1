"""Read an export, and believe of it what the newest head outside covers, nothing else.

An export is a file that anybody may have edited. The head's root stands for every entry before it;
what came after the head is not vouched for, and only told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.tokens.keyring import current_key_ring
from batchtokens.errors import LedgerBehind
from batchtokens.models import OperationToken, salted_digest
from batchtokens.services.ledger.sink import own_checkpoint
from batchtokens_verifier.canonical import b64url, parse_json
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint
from batchtokens_verifier.errors import LedgerNotValid, VerificationError
from batchtokens_verifier.exports import EXPORT, verify_export
from batchtokens_verifier.jws import Purpose, unverified_kid
from batchtokens_verifier.ledger import MAX_ENTRY_BYTES, LedgerFinding, entry_hash
from batchtokens_verifier.merkle import RightEdge, leaf_hash


@dataclass(frozen=True)
class ToldEntry:
    """One entry of an export. note: what its data's `note` may be the digest of."""

    text: str
    note: str
    body: dict[str, Any]

    @property
    def chain(self) -> str:
        return str(self.body["token"])

    @property
    def seq(self) -> int:
        return int(self.body["seq"])

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body["data"]
        return data

    @property
    def at(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.body["at"])

    @property
    def hash(self) -> str:
        return entry_hash(self.text)

    def note_of(self, token: OperationToken) -> str:
        """Return the note that came along, where it is the one that was recorded."""
        digest = salted_digest(bytes(token.salt), self.note)
        return self.note if self.note and self.data.get("note") == digest else ""


@dataclass(frozen=True)
class TrustedExport:
    """What is believed. entries: in the order of their leaves, as many as `head` counts.

    roots: of the tree at the sizes of its heads, and at those asked for. unvouched_entries: what
    the head does not cover.
    """

    head: TreeHead
    entries: list[ToldEntry]
    checkpoints: list[VerifiedCheckpoint]
    roots: dict[int, str]
    unvouched_entries: list[ToldEntry]

    @property
    def unvouched(self) -> frozenset[str]:
        """Return whose chains go on after the head."""
        return frozenset(entry.chain for entry in self.unvouched_entries)


@dataclass
class _Lines:
    """An export's lines, apart by what they are."""

    sealed: list[ToldEntry] = field(default_factory=list)
    loose: list[ToldEntry] = field(default_factory=list)
    checkpoints: list[VerifiedCheckpoint] = field(default_factory=list)


def read_export(
    lines: Sequence[str], *, newest: VerifiedCheckpoint, sizes: Collection[int] = ()
) -> TrustedExport:
    """Verify the whole file offline, and the tree that it tells against the newest head outside.

    sizes: of the tree, whose roots the caller wants. Raises LedgerNotValid, whose detail names the
    first bad entry; LedgerBehind where the file ends before the head.
    """
    keys = current_key_ring(wanted=unverified_kid(newest.token) or "")
    try:
        report = verify_export(
            lines, keys=keys.keys_ever(Purpose.CHECKPOINT), anchors=[newest.token]
        )
    except VerificationError as error:
        raise LedgerNotValid(error.detail) from error
    _refuse([found for found in report.findings if found.chain == EXPORT])  # unreadable lines
    told, size = _parted(lines), newest.head.size
    if len(told.sealed) < size:
        raise LedgerBehind(
            f"The export has {len(told.sealed)} sealed entries, the head outside {size}."
        )
    _refuse(report.findings)
    entries = told.sealed[:size]
    heads = {each.head.size for each in told.checkpoints}
    roots = _roots(entries, wanted={size, *sizes, *heads})
    # A declared loss in the file may have given the head up; what was signed outside decides.
    if roots[size] != newest.head.root:
        raise LedgerNotValid(f"The export is another ledger than the head of {size} entries.")
    unvouched = [*told.sealed[size:], *told.loose]
    return TrustedExport(newest.head, entries, told.checkpoints, roots, unvouched)


def _refuse(findings: Sequence[LedgerFinding]) -> None:
    for found in findings:
        raise LedgerNotValid(f"{_name(found.chain)} entry {found.seq}: {found.problem}.")


def _parted(lines: Sequence[str]) -> _Lines:
    parted = _Lines()
    for line in lines:
        told = parse_json(line, max_bytes=2 * MAX_ENTRY_BYTES)
        if told["is"] == "checkpoint":
            parted.checkpoints.append(own_checkpoint(told["token"]))
        elif told["is"] == "entry":
            body = parse_json(told["entry"], max_bytes=MAX_ENTRY_BYTES)
            entry = ToldEntry(told["entry"], str(told.get("note", "")), body)
            (parted.loose if told["index"] is None else parted.sealed).append(entry)
    return parted


def _roots(entries: Sequence[ToldEntry], *, wanted: Collection[int]) -> dict[int, str]:
    edge = RightEdge()
    roots = {0: b64url(edge.root())}
    for entry in entries:
        edge.push(leaf_hash(entry.text.encode()))
        if edge.size in wanted:
            roots[edge.size] = b64url(edge.root())
    return roots


def _name(chain: str) -> str:
    """Name a chain as people do: by its operation's id, where the database knows it."""
    row = OperationToken.objects.filter(token_hash=chain).first()
    return row.public_id if row else chain
