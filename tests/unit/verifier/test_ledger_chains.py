"""A chain folds what follows on itself, entry by entry, and nothing else (I2, I15)."""

from typing import Any

import pytest

from batchtokens_verifier.canonical import b64url, canonicalize
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.errors import LedgerNotValid
from batchtokens_verifier.ledger import Chain, Loss, TreeCheck
from batchtokens_verifier.merkle import leaf_hash

AMOUNT = {"amount": "50.00", "currency": "USD"}
NEW = {"cancelled": False, "count": 0, "holds": [], "settled": 0, "sum": 0}
TAKEN = NEW | {"count": 1, "sum": 5000}


def entry(chain: Chain, kind: str, state: Any, **changes: Any) -> str:
    """Return the text of what may follow; `changes` to its members."""
    data = {"redemption": "rdm_1", "slot": "p0", "attempt": 1, "by": "user"}
    if kind == "reserved":
        data |= {"amount": AMOUNT, "counts_at": "2026-01-01T00:00:00.000000Z"}
    body = {
        "v": 1,
        "kind": kind,
        "token": chain.token,
        "seq": chain.seq + 1,
        "at": "2026-01-01T00:00:00.000000Z",
        "data": data,
        "state": state,
        "prev": chain.head,
    }
    return canonicalize(body | changes).decode()


@pytest.fixture
def chain() -> Chain:
    made = Chain("token")
    made.add(entry(made, "issued", NEW))
    made.add(entry(made, "reserved", TAKEN))
    return made


def test_what_follows_is_folded(chain: Chain) -> None:
    chain.add(entry(chain, "settled", TAKEN | {"settled": 1}))

    assert (chain.seq, chain.slots["p0"].status) == (3, "settled")


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 4},
        {"seq": 2},
        {"prev": "x"},
        {"token": "another"},
        {"at": "2025-12-31T00:00:00.000000Z"},
        {"v": 2},
        {"more": True},
    ],
    ids=str,
)
def test_what_does_not_follow_is_refused(chain: Chain, changes: dict[str, Any]) -> None:
    with pytest.raises(LedgerNotValid):
        chain.add(entry(chain, "held", TAKEN | {"holds": ["user"]}, **changes))

    assert chain.seq == 2


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("held", TAKEN),
        ("held", NEW | {"holds": ["user"]}),
        ("settled", TAKEN),
        ("released", TAKEN),
        ("cancelled", TAKEN),
        ("lowered", TAKEN | {"count": 0}),
        ("a_later_kind", TAKEN | {"cancelled": True}),
    ],
)
def test_a_state_that_the_entries_do_not_add_up_to_is_refused(
    chain: Chain, kind: str, state: Any
) -> None:
    with pytest.raises(LedgerNotValid):
        chain.add(entry(chain, kind, state))


def test_a_settled_slot_is_neither_taken_nor_closed_again(chain: Chain) -> None:
    settled = TAKEN | {"settled": 1}
    chain.add(entry(chain, "settled", settled))

    for kind in ("reserved", "settled", "released"):
        with pytest.raises(LedgerNotValid):
            chain.add(entry(chain, kind, settled))


def test_an_attempt_that_is_over_closes_nothing(chain: Chain) -> None:
    again = {"redemption": "rdm_1", "slot": "p0", "attempt": 2, "amount": AMOUNT}
    again["counts_at"] = "2026-01-01T00:00:00.000000Z"
    chain.add(entry(chain, "reserved", TAKEN, data=again))

    with pytest.raises(LedgerNotValid):
        chain.add(entry(chain, "settled", TAKEN | {"settled": 1}))


LEAF = leaf_hash(b"another past")
LOST = TreeHead(0, 1, "A" * 43)
LATER = TreeHead(1, 1, b64url(LEAF))
LOSS = Loss(0, 0, LOST)


@pytest.mark.parametrize(
    ("heads", "losses", "found"),
    [([LOST], [], 1), ([LOST], [LOSS], 1), ([LOST, LATER], [LOSS], 0), ([LOST, LATER], [], 1)],
    ids=["a difference", "only declared", "declared and signed", "only signed"],
)
def test_a_loss_counts_once_a_head_of_a_later_epoch_is_signed(
    heads: list[TreeHead], losses: list[Loss], found: int
) -> None:
    _, differing = TreeCheck(heads, losses).push(LEAF)

    assert len(differing) == found
