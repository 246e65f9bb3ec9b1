"""Whatever a made-up export has in a member's place, it is refused or named, and nothing else."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from batchtokens_verifier.checkpoints import HASH
from batchtokens_verifier.errors import LedgerNotValid
from batchtokens_verifier.exports import EXPORT, TREE, ExportReport, verify_export
from batchtokens_verifier.ledger import AUTHORITY, Chain, entry_hash
from tests.forged_exports import entry_line

TOKEN = "A" * 43
NEW = {"cancelled": False, "count": 0, "holds": [], "settled": 0, "sum": 0}
TAKEN = NEW | {"count": 1, "sum": 5000}
RUN = {"redemption": "rdm_1", "slot": "p0", "attempt": 1}
MONEY = {"amount": {"amount": "50.00", "currency": "USD"}, "counts_at": "2026-01-01T00:00:00Z"}
HOSTILE = ["\0", "\ud800", "x" * 9_999, "٣", -1, 1.5, 2**63, True, None, [], {}, [[]], {"\0": 1}]
RAW = ["[" * 9_999, '{"token":' * 9_999, "null", '"\\ud800"', '{"token":"authority"', "9" * 9_999]


def lines() -> list[dict[str, Any]]:
    """Return an export without heads: nothing but itself to compare it with."""
    chain, own = Chain(TOKEN), Chain(AUTHORITY)
    lost = {"epoch": 0, "size": 9, "root": TOKEN}
    told = [
        entry_line(own, "reconciled", 0, data={"kept": 0, "lost": lost}),
        entry_line(chain, "issued", 1, data={"jws": "a", "kid": "k"}, state=NEW),
        entry_line(chain, "reserved", 2, data=RUN | MONEY, state=TAKEN),
        entry_line(chain, "settled", 3, data=RUN, state=TAKEN | {"settled": 1}),
        entry_line(chain, "cancelled", 4, data={}, state=TAKEN | {"settled": 1, "cancelled": True}),
    ]
    row = {"is": "row", "token": TOKEN, "seq": chain.seq, "head": chain.head, "state": chain.state}
    slots = {"p0": ["settled", 1, 5000, "USD", "2026-01-01T00:00:00Z"]}
    head = {"is": "header", "v": 1, "issuer": "https://id.example", "entries": 5, "jwks": {}}
    return [head | {"jwks": {"keys": []}}, *told, row | {"jws": "a", "slots": slots}]


def changed(value: Any) -> Iterator[Any]:
    """Yield the value with each of its members, and itself, replaced, and each one renamed."""
    yield from HOSTILE
    members = value.items() if isinstance(value, dict) else ()
    for name, member in members:
        yield {"x" if other == name else other: each for other, each in value.items()}
        for other in changed(member):
            yield {**value, name: other}


def hostile_lines(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from changed(line)
    if line.get("is") == "entry":
        texts = [json.dumps(body, sort_keys=True) for body in changed(json.loads(line["entry"]))]
        for text in [*(text.replace(", ", ",").replace(": ", ":") for text in texts), *RAW]:
            yield {**line, "entry": text, "hash": entry_hash(text)}


def verified(told: list[dict[str, Any]]) -> ExportReport:
    return verify_export(json.dumps(line) for line in told)


def test_the_export_itself_is_in_order() -> None:
    assert verified(lines()).findings == []


@pytest.mark.parametrize("place", range(len(lines())))
def test_whatever_stands_in_a_members_place(place: int) -> None:
    told = copy.deepcopy(lines())
    for hostile in hostile_lines(told[place]):
        try:
            report = verified([*told[:place], hostile, *told[place + 1 :]])
        except LedgerNotValid:
            continue
        for found in report.findings:
            assert found.chain in {AUTHORITY, EXPORT, TREE} or HASH.fullmatch(found.chain)
