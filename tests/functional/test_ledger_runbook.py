"""docs/ledger.md, "After a broken night": its commands, run in their order, print what it says."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts.management.base import Exit
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.models import OperationToken, Status
from batchtokens.models.clock import database_now
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.redemption.settle import Closing, settle_redemption
from batchtokens_verifier.errors import SlotAlreadyRedeemed
from tests import ledgers, mandates
from tests.commands import Ended, ended
from tests.copies import copied

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"
LINE = re.compile(r"^ *\$ manage\.py (.+)$")


@dataclass(frozen=True)
class Step:
    """A command of the page, and the JSON that stands below it."""

    command: str
    prints: Any


def steps() -> list[Step]:
    """Read the page's console blocks, in their order."""
    lines = PAGE.read_text().partition("## After a broken night")[2].splitlines()
    return [
        Step(found[1], json.loads(lines[number + 1]))
        for number, line in enumerate(lines)
        if (found := LINE.match(line))
    ]


def run(step: Step, **words: str) -> Ended:
    name, *arguments = [words.get(word, word) for word in shlex.split(step.command)]
    return ended(name, *arguments)


def is_like(shown: Any, printed: Any) -> bool:
    """Say whether what is printed has all the members that the page shows."""
    if isinstance(shown, list):
        return isinstance(printed, list) and (
            is_like(shown[0], printed[0]) if shown and printed else shown == printed
        )
    return set(shown) <= set(printed)


@dataclass
class Night:
    world: mandates.Savings
    issued: Issued
    slot: str
    put_back: Any


@pytest.fixture
def night(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    monkeypatch.chdir(tmp_path)
    ensure_signing_keys()
    world = mandates.savings()
    issued = ledgers.issue_daily(world)
    Sealing().look()
    with copied(tmp_path) as put_back:
        redemption = mandates.redeem(world, issued, "lost").redemption
        settle_redemption(by=world.redeemer, closing=Closing(redemption.pk, 1, "bank-1"))
        ledgers.issue_daily(world)
        Sealing().look()
        yield Night(world, issued, redemption.slot, put_back)


def go_back(night: Night) -> None:
    night.put_back()
    forget_sink()
    forget_key_ring()


def test_the_page_heals_what_it_says(night: Night) -> None:
    export, *rest = steps()
    healing = rest[:-2]
    assert is_like(export.prints, run(export).rows)
    go_back(night)

    for step in healing:
        answer = run(step)
        assert (answer.code, is_like(step.prints, answer.rows)) == (Exit.OK, True), step.command

    with pytest.raises(SlotAlreadyRedeemed):
        mandates.redeem(night.world, night.issued, "late", occurrence=night.slot)
    assert mandates.redeem(night.world, night.issued, "next").proceed


def test_without_an_export_the_loss_is_said_and_holds_are_lifted_one_by_one(night: Night) -> None:
    *_, resume, accept = steps()
    go_back(night)
    row = night.issued.row

    answer = run(accept)
    assert (answer.code, is_like(accept.prints, answer.rows)) == (Exit.OK, True)
    answer = run(resume, OPERATION=row.public_id)
    assert (answer.code, is_like(resume.prints, answer.rows)) == (Exit.OK, True)

    assert OperationToken.objects.get(pk=row.pk).status_at(database_now()) == Status.ACTIVE
