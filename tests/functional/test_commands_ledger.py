"""`seal_ledger`, `export_ledger`, `verify_ledger --file` and `reconcile_ledger`, end to end."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.management.base import Findings, Refused
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.services.ledger.sink import checkpoint_files
from tests import ledgers, mandates

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


def test_there_is_nothing_to_reconcile(sealed: int) -> None:
    with pytest.raises(Refused):
        run("reconcile_ledger", "--accept-loss", "--reason", "by mistake", "--yes")
