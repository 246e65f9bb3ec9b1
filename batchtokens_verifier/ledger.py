"""Folds the chains of a ledger, and verifies an exported one without its database.

The authority's own verify_ledger folds with the same code (I15).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from batchtokens_verifier.canonical import b64url, canonicalize, parse_json
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import LedgerNotValid, ProblemError
from batchtokens_verifier.merkle import RightEdge

AUTHORITY = "authority"  # the chain of what concerns no single operation
MAX_ENTRY_BYTES = 1_048_576
# What a text that is no entry makes Python raise.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ProblemError)
_MEMBERS = frozenset({"v", "kind", "token", "seq", "at", "data", "state", "prev"})
_NEW: dict[str, Any] = {"cancelled": False, "count": 0, "holds": [], "settled": 0, "sum": 0}


@dataclass(frozen=True, slots=True)
class SlotState:
    """What a chain says of one slot. minor: minor units."""

    status: str
    attempt: int
    minor: int
    currency: str
    counts_at: str


@dataclass(frozen=True, slots=True)
class LedgerFinding:
    """Something wrong: in whose chain (its token's hash; "tree": the Merkle tree), and where.

    seq: the entry's number, in the tree the leaf's index; 0: what the chain adds up to.
    """

    chain: str
    seq: int
    problem: str


def entry_hash(text: str) -> str:
    """Return what the next entry's `prev` must be."""
    return b64url(hashlib.sha256(text.encode()).digest())


@dataclass(slots=True)
class Chain:
    """The fold of one chain's entries: its state, its slots, and what was signed last."""

    token: str
    seq: int = 0
    head: str = ""
    at: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, SlotState] = field(default_factory=dict)
    issued: dict[str, Any] = field(default_factory=dict)
    attempts: dict[tuple[str, int], str] = field(default_factory=dict)
    closings: dict[str, str] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Fold the next entry in.

        Raises LedgerNotValid, whose detail says what is wrong with it.
        """
        try:
            body = parse_json(text, max_bytes=MAX_ENTRY_BYTES)
            if canonicalize(body).decode() != text:
                raise LedgerNotValid("the entry is not canonical")
            self._check_link(body)
            state = {} if self.token == AUTHORITY else self._folded(body)
        except LedgerNotValid:
            raise
        except UNREADABLE:
            raise LedgerNotValid("the entry cannot be read") from None
        if body["state"] != state:
            raise LedgerNotValid("the entry's state is not what the chain adds up to")
        self.seq, self.at, self.state = body["seq"], body["at"], state
        self.head = entry_hash(text)
        self._remember(body)

    def _check_link(self, body: Mapping[str, Any]) -> None:
        if body.keys() != _MEMBERS or body["v"] != 1:
            raise LedgerNotValid("the entry cannot be read")
        if body["token"] != self.token:
            raise LedgerNotValid("the entry is of another chain")
        if body["seq"] != self.seq + 1:
            raise LedgerNotValid(f"entry {self.seq + 1} is missing")
        if body["prev"] != self.head:
            raise LedgerNotValid("the chain is broken")
        if body["at"] < self.at:
            raise LedgerNotValid("the entry is older than the one before it")
        if (body["kind"] == "issued") != (self.seq == 0) and self.token != AUTHORITY:
            raise LedgerNotValid("a chain begins with its issue, and only there")

    def _folded(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the state must be after the entry.

        A kind that this version does not know may change only what is not counted.
        """
        kind, data, told = body["kind"], body["data"], body["state"]
        state = dict(self.state) if self.seq else dict(_NEW)
        if kind in ("reserved", "settled", "released"):
            return state | self._counted(kind, data)
        match kind:
            case "issued":
                return state
            case "held":
                return state | {"holds": sorted({*state["holds"], data["by"]})}
            case "resumed":
                left = [hold for hold in state["holds"] if hold not in data["lifted"]]
                return state | {"holds": left}
            case "cancelled":
                return state | {"cancelled": True}
        counts = {name: state[name] for name in ("cancelled", "count", "settled", "sum")}
        return {**told, **counts}

    def _counted(self, kind: str, data: Mapping[str, Any]) -> dict[str, int]:
        """Move the slot on; return how the counts change."""
        name = data["slot"]
        slot = self.slots.get(name)
        taken = slot is not None and slot.status != "released"
        if kind == "reserved":
            return self._reserved(data, slot if taken else None)
        if slot is None or slot.status != "reserved" or slot.attempt != data["attempt"]:
            raise LedgerNotValid("the entry closes what is not open")
        self.slots[name] = replace(slot, status=kind)
        if kind == "settled":
            return {"settled": self.state["settled"] + 1}
        return {"count": self.state["count"] - 1, "sum": self.state["sum"] - slot.minor}

    def _reserved(self, data: Mapping[str, Any], former: SlotState | None) -> dict[str, int]:
        amount = Amount.parse(data["amount"], "")
        if former is not None and (former.status, former.minor) != ("reserved", amount.minor):
            raise LedgerNotValid("the slot is taken")
        self.slots[data["slot"]] = SlotState(
            "reserved", data["attempt"], amount.minor, amount.currency, data["counts_at"]
        )
        if former is not None:
            return {}
        return {"count": self.state["count"] + 1, "sum": self.state["sum"] + amount.minor}

    def _remember(self, body: Mapping[str, Any]) -> None:
        """Keep what was signed, and by which entry each receipt is told."""
        kind, data = body["kind"], body["data"]
        if kind == "issued":
            self.issued = dict(data)
        elif kind == "reissued":
            self.issued |= {"jws": data["jws"], "kid": data["kid"]}
        elif kind == "reserved":
            self.attempts[data["redemption"], data["attempt"]] = self.head
            self.closings.pop(data["redemption"], None)
        elif kind in ("settled", "released"):
            self.closings[data["redemption"]] = self.head


@dataclass(frozen=True, slots=True)
class Loss:
    """A declared loss: of `epoch`, what is beyond `kept` leaves; `lost` was its last head."""

    epoch: int
    kept: int
    lost: TreeHead

    @classmethod
    def told_by(cls, text: str) -> "Loss | None":
        """Read an entry of the authority's chain; None if it declares nothing."""
        if '"reconciled"' not in text:
            return None
        try:
            body = parse_json(text, max_bytes=MAX_ENTRY_BYTES)
            if body["kind"] != "reconciled":
                return None
            data = body["data"]
            loss = cls(data["lost"]["epoch"], data["kept"], TreeHead(**data["lost"]))
        except UNREADABLE:
            return None
        numbers = (loss.epoch, loss.kept, loss.lost.size)
        return loss if all(type(each) is int for each in numbers) else None


class TreeCheck:
    """Compares the roots of a growing tree with signed heads, the smallest first."""

    def __init__(self, heads: Iterable[TreeHead], losses: Iterable[Loss] = ()) -> None:
        """heads: all that are known; those that a loss gave up are left out.

        A loss counts once a head of a later epoch is signed: who can write entries, but not sign
        heads, must not have any forgotten.
        """
        known = set(heads)
        newest = max((head.epoch for head in known), default=0)
        given_up = [loss for loss in losses if loss.epoch < newest]
        self._heads = sorted(
            {head for head in known if not any(_gives_up(loss, head) for loss in given_up)},
            key=lambda head: (head.size, head.epoch, head.root),
            reverse=True,
        )
        self._edge = RightEdge()
        self._agreed = 0

    @property
    def edge(self) -> RightEdge:
        """Return the tree's right edge, as it is now."""
        return self._edge

    def push(self, leaf: bytes) -> tuple[list[tuple[tuple[int, int], bytes]], list[LedgerFinding]]:
        """Append a leaf hash; returns the nodes that it completes, and heads that differ."""
        completed = self._edge.push(leaf)
        return completed, self._compare()

    def _compare(self) -> list[LedgerFinding]:
        findings, agreed, size = [], self._agreed, self._edge.size
        while self._heads and self._heads[-1].size <= size:
            if self._heads.pop().root == b64url(self._edge.root()):
                agreed = size
                continue
            problem = f"leaves {self._agreed} to {size - 1} are not those of a checkpoint"
            findings.append(LedgerFinding("tree", self._agreed, problem))
        self._agreed = agreed
        return findings

    def finish(self) -> list[LedgerFinding]:
        """Return the heads that are larger than the tree."""
        size = self._edge.size
        return [
            LedgerFinding("tree", size, f"a checkpoint has {head.size} entries, the tree {size}")
            for head in reversed(self._heads)
            if head.size > size
        ][:1]


def _gives_up(loss: Loss, head: TreeHead) -> bool:
    return head.epoch == loss.epoch and head.size > loss.kept
