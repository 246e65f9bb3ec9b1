"""Exports of a ledger, edited or made up as somebody would who has nothing but the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batchtokens_verifier.canonical import canonicalize
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.ledger import AUTHORITY, Chain

AT = "2026-11-22T00:00:00.000000Z"


def entry_line(chain: Chain, kind: str, index: int | None, **told: Any) -> dict[str, Any]:
    """Return the line of a chain's next entry, and let the chain go on with it."""
    body = {
        "v": 1,
        "kind": kind,
        "token": chain.token,
        "seq": chain.seq + 1,
        "at": max(chain.at, AT),
        "prev": chain.head,
        "state": {},
        **told,
    }
    text = canonicalize(body).decode()
    chain.add(text)
    return {"is": "entry", "index": index, "entry": text, "hash": chain.head}


def with_another_past(export: Sequence[str], head: TreeHead) -> list[str]:
    """Make up as many entries as the head has; each declares that the head is lost."""
    header = json.loads(export[0]) | {"entries": head.size}
    lost = {"epoch": head.epoch, "size": head.size, "root": head.root}
    chain = Chain(AUTHORITY)
    made_up = [
        entry_line(chain, "reconciled", index, data={"kept": 0, "lost": lost})
        for index in range(head.size)
    ]
    return [json.dumps(line) for line in [header, *made_up]]


def with_a_last_second(export: Sequence[str], token_hash: str) -> list[str]:
    """Add a hold to a chain, without a leaf, as it was not sealed yet; its row tells it, too."""
    told = [json.loads(line) for line in export]
    chain = _folded(told, token_hash)
    state = {**chain.state, "holds": ["user"]}
    line = entry_line(chain, "held", None, data={"by": "user"}, state=state)
    row = next(each for each in told if each.get("token") == token_hash)
    row |= {"seq": chain.seq, "head": chain.head, "state": state}
    told[0]["entries"] += 1
    rows = next(number for number, each in enumerate(told) if each["is"] == "row")
    return [json.dumps(each) for each in [*told[:rows], line, *told[rows:]]]


def with_an_issue_of_the_last_second(export: Sequence[str], token_hash: str) -> list[str]:
    """Leave of a chain its issue alone, under another token's hash, as it was not sealed yet."""
    told = [json.loads(line) for line in export]
    chain = Chain(f"{token_hash[:-1]}{'A' if token_hash[-1] != 'A' else 'B'}")
    issued = next(
        body
        for each in told
        if each["is"] == "entry"
        and (body := json.loads(each["entry"]))["token"] == token_hash
        and body["kind"] == "issued"
    )
    line = entry_line(chain, "issued", None, data=issued["data"], state=issued["state"])
    row = {
        "is": "row",
        "token": chain.token,
        "seq": chain.seq,
        "head": chain.head,
        "state": chain.state,
        "jws": chain.issued["jws"],
        "slots": {},
    }
    told[0]["entries"] += 1
    rows = next(number for number, each in enumerate(told) if each["is"] == "row")
    return [json.dumps(each) for each in [*told[:rows], line, row, *told[rows:]]]


def with_a_changed_entry(export: Sequence[str], token_hash: str) -> tuple[list[str], int]:
    """Change the last reservation of a chain; returns its seq as well."""
    told = [json.loads(line) for line in export]
    entry = next(
        each
        for each in reversed(told)
        if each["is"] == "entry"
        and (body := json.loads(each["entry"]))["token"] == token_hash
        and body["kind"] == "reserved"
    )
    entry["entry"] = entry["entry"].replace('"attempt":1', '"attempt":2')
    return [json.dumps(each) for each in told], json.loads(entry["entry"])["seq"]


def without_the_last_leaf(export: Sequence[str]) -> list[str]:
    """Leave out the entry that was sealed last."""
    told = [json.loads(line) for line in export]
    told[0]["entries"] -= 1
    last = max(index for each in told if (index := each.get("index")) is not None)
    return [json.dumps(each) for each in told if each.get("index") != last]


def _folded(told: Sequence[Mapping[str, Any]], token_hash: str) -> Chain:
    chain = Chain(token_hash)
    for each in told:
        if each["is"] == "entry" and json.loads(each["entry"])["token"] == token_hash:
            chain.add(each["entry"])
    return chain
