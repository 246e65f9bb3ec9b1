"""`seal_ledger`, `export_ledger`, `verify_ledger --file` and `reconcile_ledger`, end to end."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.management.base import Exit, Findings, Refused
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.services.ledger.sink import checkpoint_files
from tests import ledgers, mandates
from tests.commands import ended

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> Any:
    out = StringIO()
    call_command(name, *arguments, "--format", "json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


@pytest.fixture
def sealed(settings: Any, tmp_path: Path) -> int:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.savings()
    mandates.redeem(world, ledgers.issue_daily(world))
    size: int = run("seal_ledger", "--once")["size"]
    return size


def test_an_export_verifies_without_the_database(sealed: int, tmp_path: Path) -> None:
    export, kept = tmp_path / "ledger.ndjson", str(checkpoint_files()[-1])
    assert run("export_ledger", "--out", str(export))["lines"] > sealed
    assert run("verify_ledger", "--file", str(export), "--checkpoint", kept) == []
    with pytest.raises(Refused):
        run("export_ledger", "--out", str(export))

    export.write_text(export.read_text().replace("50.00", "51.00"))
    with pytest.raises(Findings):
        run("verify_ledger", "--file", str(export), "--checkpoint", kept)


def test_the_database_verifies_with_its_sink(sealed: int) -> None:
    assert run("verify_ledger", "--sink") == []


BAD: dict[str, bytes] = {"empty": b"", "garbage": b"\0\xff\0", "json": b"{}\n", "text": b"no\n"}


@pytest.fixture
def bad(tmp_path: Path) -> list[str]:
    """Return the paths of what is no file, no text, or nothing that is asked for."""
    for kind, content in BAD.items():
        (tmp_path / kind).write_bytes(content)
    return [*(str(tmp_path / kind) for kind in BAD), str(tmp_path), str(tmp_path / "missing"), ""]


def test_what_cannot_be_read_is_named(sealed: int, bad: list[str], tmp_path: Path) -> None:
    export = str(tmp_path / "ledger.ndjson")
    run("export_ledger", "--out", export)

    for path in bad:
        asked = [
            ("verify_ledger", "--file", path),
            ("verify_ledger", "--checkpoint", path),
            ("verify_ledger", "--file", export, "--jwks", path),
            ("verify_ledger", "--file", export, "--checkpoint", path),
            ("reconcile_ledger", "--from", path, "--dry-run"),
            ("reconcile_ledger", "--from", path, "--reason", "a drill", "--yes"),
        ]
        for words in asked:
            answer = ended(*words)
            assert answer.code in {Exit.USAGE, Exit.REFUSED, Exit.FINDINGS}, words
            assert len(answer.said.strip().splitlines()) == 1, words


def test_no_unset_name_lets_something_else_be_verified(sealed: int) -> None:
    for option in ("--file", "--checkpoint"):
        assert ended("verify_ledger", option, "").code == Exit.USAGE


@pytest.mark.parametrize("name", ["", "x" * 300, "nowhere/ledger.ndjson"])
def test_an_export_that_cannot_be_written_is_said(sealed: int, name: str, tmp_path: Path) -> None:
    answer = ended("export_ledger", "--out", str(tmp_path / name))

    assert answer.code in {Exit.ERROR, Exit.REFUSED}
    assert "ledger" in answer.said or name in answer.said


def test_findings_that_are_in_no_ledger_are_not_counted_as_one(sealed: int, tmp_path: Path) -> None:
    export = tmp_path / "ledger.ndjson"
    run("export_ledger", "--out", str(export))
    export.write_text(export.read_text() + "no line of it\n")

    answer = ended("verify_ledger", "--file", str(export))

    assert (answer.code, answer.said) == (
        Exit.FINDINGS,
        "What holds the ledgers together is not as it should be.",
    )


def test_there_is_nothing_to_reconcile(sealed: int) -> None:
    with pytest.raises(Refused):
        run("reconcile_ledger", "--accept-loss", "--reason", "by mistake", "--yes")
