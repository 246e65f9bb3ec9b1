"""What a restore does not believe, or cannot apply, it refuses by name and with a code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.errors import LedgerBroken
from batchtokens.models import LedgerEntry, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.export_ledger import export_ledger
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.recovery.restore_ledger import preview_restore, restore_ledger
from batchtokens.services.redemption.settle import Closing, settle_redemption
from batchtokens_verifier.errors import LedgerNotValid
from batchtokens_verifier.ledger import Chain, entry_hash
from tests import ledgers, mandates
from tests.copies import copied
from tests.forged_exports import entry_line
from tests.guards import as_insider

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the disk burned"


@dataclass
class Night:
    """The copy is in place; what it lacks is that the redemption was settled."""

    issued: Issued
    redemption: Redemption
    export: Sequence[str]


@pytest.fixture
def night(settings: Any, tmp_path: Path) -> Iterator[Night]:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.savings()
    issued = ledgers.issue_daily(world)
    redemption = mandates.redeem(world, issued).redemption
    Sealing().look()
    with copied(tmp_path) as put_back:
        settle_redemption(by=world.redeemer, closing=Closing(redemption.pk, 1, "bank-1"))
        Sealing().look()
        export = list(export_ledger())
        put_back()
        forget_sink()
        forget_key_ring()
        yield Night(issued, redemption, export)


@pytest.mark.parametrize("edit", ["deleted", "amount"])
def test_a_redemption_that_is_not_its_ledgers_is_named(night: Night, edit: str) -> None:
    """Nothing is signed of it, and no other row waits for an explanation."""
    with as_insider():
        if edit == "deleted":
            night.redemption.attempts.all().delete()
            night.redemption.delete()
        else:
            Redemption.objects.update(amount_minor=1)
    before = LedgerEntry.objects.count()

    with pytest.raises(LedgerBroken) as refused:
        restore_ledger(night.export, reason=REASON)

    assert night.issued.row.public_id in refused.value.detail
    assert night.redemption.slot in refused.value.detail
    assert LedgerEntry.objects.count() == before


def with_a_loose_chain(export: Sequence[str], name: str) -> list[str]:
    """Add an issue that no head covers, of a token of this name, and the row that goes with it."""
    told = [json.loads(line) for line in export]
    chain = Chain(name)
    state = {"cancelled": False, "count": 0, "holds": [], "settled": 0, "sum": 0}
    line = entry_line(chain, "issued", None, data={"jws": "a"}, state=state)
    row = {"is": "row", "token": name, "seq": 1, "head": chain.head, "state": state, "slots": {}}
    told[0]["entries"] += 1
    return [json.dumps(each) for each in [*told, line, row | {"jws": "a"}]]


def with_a_text(export: Sequence[str], text: str) -> list[str]:
    """Add an entry of this text."""
    told = [json.loads(line) for line in export]
    line = {"is": "entry", "index": None, "entry": text, "hash": entry_hash(text)}
    told[0]["entries"] += 1
    return [json.dumps(each) for each in [*told, line]]


HOSTILE: dict[str, Callable[[Sequence[str]], Sequence[str]]] = {
    "nul": lambda export: with_a_loose_chain(export, "a\0b"),
    "overlong": lambda export: with_a_loose_chain(export, "A" * 9_999),
    "surrogate": lambda export: with_a_text(export, '{"token":"\\ud800"}'),
    "deep": lambda export: with_a_text(export, '{"token":' * 9_999),
    "text": lambda export: with_a_text(export, "no entry"),
    "truncated": lambda export: [*export[:-1], export[-1][:-9]],
    "issuer": lambda export: [export[0].replace("http", "ftp", 1), *export[1:]],
    "empty": lambda export: [],
    "garbage": lambda export: ["\ufffd\0\x01"],
}


def test_a_hostile_export_is_refused(night: Night) -> None:
    before = LedgerEntry.objects.count()

    for way, made in HOSTILE.items():
        export = made(night.export)
        with pytest.raises(LedgerNotValid):
            pytest.fail(f"{way}: {preview_restore(export)}")
        with pytest.raises(LedgerNotValid):
            pytest.fail(f"{way}: {restore_ledger(export, reason=REASON)}")

    assert LedgerEntry.objects.count() == before
