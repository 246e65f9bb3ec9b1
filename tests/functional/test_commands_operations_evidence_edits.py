"""`operations verify_evidence`: whichever byte of a pack was edited, it is refused, in words."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.management.base import Exit
from accounts.tokens.keyring import current_key_ring
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.seal import Sealing
from batchtokens_verifier.packs import LETTER, PACK
from tests import mandates
from tests.commands import operations

pytestmark = pytest.mark.django_db(transaction=True)
EDITS = 30


@pytest.fixture
def folder(issued: Issued, world: mandates.Savings, settings: Any, tmp_path: Path) -> Path:
    """Return where a pack in both kinds, and the authority's keys, are."""
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    mandates.redeem(world, issued)
    Sealing().look()
    for name in ("pack.json", "pack.zip"):
        written = operations("evidence", issued.row.public_id, "--out", str(tmp_path / name))
        assert written.code == Exit.OK
    (tmp_path / "jwks.json").write_text(json.dumps(current_key_ring().jwks()))
    return tmp_path


def judge(folder: Path, content: bytes) -> Exit:
    path = folder / "edited"
    path.write_bytes(content)
    keys = str(folder / "jwks.json")
    return Exit(operations("verify_evidence", str(path), "--keys", keys).code)


def edited(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_no_edited_byte_of_the_pack_is_accepted(folder: Path) -> None:
    """But white space between members, which says nothing, is not looked at."""
    content = (folder / "pack.json").read_bytes()
    told = [place for place, byte in enumerate(content) if not chr(byte).isspace()]
    places = [0, *random.Random(1).sample(told, EDITS)]  # without its first brace it is no JSON

    found = Counter(judge(folder, edited(content, place)) for place in places)

    assert set(found) == {Exit.FINDINGS, Exit.USAGE}
    assert judge(folder, content) == Exit.OK


def test_no_edited_byte_of_the_archive_says_something_else(folder: Path) -> None:
    """It is refused in words, or it is a byte that no file's content depends on, as a date."""
    content = (folder / "pack.zip").read_bytes()
    places = random.Random(2).sample(range(len(content)), EDITS)

    for place in [*range(16), *range(len(content) - 24, len(content)), *places]:
        edit = edited(content, place)
        if judge(folder, edit) == Exit.OK:
            assert contents(edit) == contents(content)


def contents(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def reword_the_letter(files: dict[str, bytes]) -> None:
    files[LETTER] = files[LETTER].replace(b"Verify it", b"Trust it!")


def lengthen_the_letter(files: dict[str, bytes]) -> None:
    files[LETTER] += b"\n"


def take_the_letter_away(files: dict[str, bytes]) -> None:
    del files[LETTER]


def add_another(files: dict[str, bytes]) -> None:
    files["evidence2.json"] = files[PACK]


@pytest.mark.parametrize(
    "edit", [reword_the_letter, lengthen_the_letter, take_the_letter_away, add_another]
)
def test_the_other_files_are_as_they_were_written(
    folder: Path, edit: Callable[[dict[str, bytes]], None]
) -> None:
    files = contents((folder / "pack.zip").read_bytes())
    assert judge(folder, zipped(files)) == Exit.OK

    edit(files)

    assert judge(folder, zipped(files)) == Exit.FINDINGS
