"""Verifies an exported ledger offline: its chains, what they add up to, its tree and checkpoints.

An export is NDJSON: a header with the public keys, checkpoints, every entry in the order of its
leaf (entries without one last), then what each operation's row says. Format, append-only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.checkpoints import HASH, TreeHead, VerifiedCheckpoint, verify_checkpoint
from batchtokens_verifier.errors import (
    InvalidOperation,
    LedgerNotValid,
    VerificationError,
)
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.ledger import (
    AUTHORITY,
    MAX_ENTRY_BYTES,
    UNREADABLE,
    Chain,
    LedgerFinding,
    Loss,
    TreeCheck,
    entry_hash,
)
from batchtokens_verifier.merkle import leaf_hash

TREE = "tree"
EXPORT = "export"  # the chain's name where the file itself is wrong; seq: the line


@dataclass
class ExportReport:
    """What was read, and what is wrong, in the order of the file."""

    findings: list[LedgerFinding] = field(default_factory=list)
    entries: int = 0
    chains: int = 0
    head: TreeHead | None = None


def verify_export(
    lines: Iterable[str], *, keys: KeySet | None = None, anchors: Sequence[str] = ()
) -> ExportReport:
    """Verify an export.

    keys: instead of those that it brings along. anchors: checkpoints that were kept elsewhere.
    Without them, only what contradicts itself is found. Raises LedgerNotValid where the file is
    no export at all.
    """
    reader = _Reader(keys, anchors)
    for number, line in enumerate(lines, start=1):
        reader.read(number, line)
    return reader.finish()


class _Reader:
    def __init__(self, keys: KeySet | None, anchors: Sequence[str]) -> None:
        self.report = ExportReport()
        self._keys, self._anchors = keys, anchors
        self._header: Mapping[str, Any] | None = None
        self._heads: list[TreeHead] = []
        self._entries: list[tuple[int | None, str]] = []
        self._chains: dict[str, Chain] = {}
        self._broken: set[str] = set()
        self._rows: set[str] = set()

    def read(self, number: int, line: str) -> None:
        """Read one line. Raises LedgerNotValid where the first is no header."""
        try:
            self._read(parse_json(line, max_bytes=2 * MAX_ENTRY_BYTES))
        except UNREADABLE as error:
            if self._header is None:
                raise LedgerNotValid("This file is not an export of a ledger.") from error
            self._find(EXPORT, number, "the line cannot be read, or its checkpoint does not hold")

    def _read(self, told: Mapping[str, Any]) -> None:
        match told["is"]:
            case "header":
                self._read_header(told)
            case "checkpoint":
                self._heads.append(self._verified(told["token"]).head)
            case "entry":
                self._read_entry(told["index"], told["entry"], told["hash"])
            case "row":
                self._read_row(told)
            case _:
                raise InvalidOperation

    def _find(self, chain: str, seq: int, problem: str) -> None:
        self.report.findings.append(LedgerFinding(chain, seq, problem))

    def _read_header(self, told: Mapping[str, Any]) -> None:
        if self._header is not None or told["v"] != 1:
            raise InvalidOperation
        self._keys = self._keys or KeySet.from_jwks(told["jwks"])
        self._header = {"issuer": str(told["issuer"]), "entries": int(told["entries"])}
        try:
            self._heads += [self._verified(token).head for token in self._anchors]
        except VerificationError:
            self._find(EXPORT, 1, "a checkpoint kept elsewhere is not of this issuer and its keys")

    def _verified(self, token: str) -> VerifiedCheckpoint:
        if self._header is None or self._keys is None:
            raise LedgerNotValid("This file is not an export of a ledger.")
        return verify_checkpoint(token, keys=self._keys, issuer=self._header["issuer"])

    def _read_entry(self, index: int | None, text: str, told_hash: str) -> None:
        if self._header is None:
            raise InvalidOperation
        name = _chain_name(parse_json(text, max_bytes=MAX_ENTRY_BYTES)["token"])
        self._entries.append((index, text))
        chain = self._chains.setdefault(name, Chain(name))
        if name in self._broken:
            return
        number = chain.seq + 1
        try:
            if entry_hash(text) != told_hash:
                raise LedgerNotValid("the entry's hash is wrong")
            chain.add(text)
        except LedgerNotValid as error:
            self._broken.add(name)  # what follows is wrong because of it
            self._find(name, number, error.detail)

    def _read_row(self, told: Mapping[str, Any]) -> None:
        name = _chain_name(told["token"])
        if name in self._rows:
            self._find(name, 0, "the row is there twice")
        self._rows.add(name)
        chain = self._chains.get(name, Chain(name))
        if name in self._broken:
            return
        if (told["seq"], told["head"]) != (chain.seq, chain.head):
            self._find(name, 0, "the row's head is not the chain's")
        elif told["state"] != chain.state:
            self._find(name, 0, "the row's state differs from the chain's")
        elif told["jws"] != chain.issued.get("jws"):
            self._find(name, 0, "the row is not what was issued")
        elif told["slots"] != slots_told(chain):
            self._find(name, 0, "the redemptions are not those of the chain")

    def finish(self) -> ExportReport:
        if self._header is None:
            raise LedgerNotValid("This file is not an export of a ledger.")
        report = self.report
        for name in self._chains.keys() - self._rows - self._broken - {AUTHORITY}:
            self._find(name, 0, "there is no row of this chain")
        self._check_tree()
        report.entries, report.chains = len(self._entries), len(self._chains)
        report.head = max(self._heads, default=None)
        if report.entries != self._header["entries"]:
            told = self._header["entries"]
            self._find(EXPORT, 1, f"there are {report.entries} entries instead of {told}")
        return report

    def _check_tree(self) -> None:
        losses = [loss for _, text in self._entries if (loss := Loss.told_by(text))]
        tree = TreeCheck(self._heads, losses)
        sealed = [(index, text) for index, text in self._entries if index is not None]
        for place, (index, text) in enumerate(sealed):
            if index != place:
                self._find(TREE, place, f"leaf {place} is missing")
                return
            _, differing = tree.push(leaf_hash(text.encode()))
            self.report.findings += differing
        self.report.findings += tree.finish()


def _chain_name(name: Any) -> str:
    """Return the name of a chain, of which nothing but itself can come: it is shown, and asked for.

    Raises InvalidOperation for what is none.
    """
    if name != AUTHORITY and not HASH.fullmatch(name):
        raise InvalidOperation
    return str(name)


def slots_told(chain: Chain) -> dict[str, list[Any]]:
    """Write a chain's slots as an export's row has them."""
    return {
        name: [slot.status, slot.attempt, slot.minor, slot.currency, slot.counts_at]
        for name, slot in chain.slots.items()
    }
