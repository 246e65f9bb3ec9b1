"""`doctor` looks at the checkpoints outside of the database before a redemption does."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.management.base import Findings
from accounts.services.rotate_signing_keys import ensure_signing_keys
from authproject.management import sink_findings
from batchtokens.models import Checkpoint, LedgerLeaf, LedgerNode
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import checkpoint_files
from tests.guards import as_insider

pytestmark = pytest.mark.django_db
PLACE = sink_findings._place


@pytest.fixture(autouse=True)
def sink(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    monkeypatch.setattr(sink_findings, "_place", lambda *_: iter(()))
    return tmp_path / "checkpoints"


def findings() -> list[str]:
    out = StringIO()
    with pytest.raises(Findings):
        call_command("doctor", format="json", stdout=out)
    return [row["finding"] for row in json.loads(out.getvalue()) if row["id"] == "ledger_sink"]


def test_before_the_first_seal_there_is_nothing_to_say() -> None:
    assert findings() == []


def test_a_sealed_ledger_with_its_sink_is_well() -> None:
    Sealing().look()
    assert findings() == []


def test_a_sink_that_is_gone(sink: Path) -> None:
    Sealing().look()
    sink.rename(sink.with_name("elsewhere"))
    assert "is not there" in findings()[0]


def test_one_that_was_emptied(sink: Path) -> None:
    Sealing().look()
    for path in checkpoint_files():
        path.unlink()
    assert "ends at 0 entries" in findings()[0]


def test_a_file_that_is_no_checkpoint(sink: Path) -> None:
    Sealing().look()
    checkpoint_files()[0].write_text("nonsense")
    assert "cannot be read" in findings()[0]


def test_a_database_that_lacks_its_newest() -> None:
    Sealing().look()
    with as_insider():
        LedgerLeaf.objects.all().delete()
        LedgerNode.objects.all().delete()
        Checkpoint.objects.all().delete()
    assert "lacks the newest checkpoint" in findings()[0]


@pytest.mark.parametrize(
    ("denied", "said"), [(4, "cannot be read"), (2, "cannot be written"), (0, "")]
)
def test_what_this_account_may_do(
    denied: int, said: str, sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Sealing().look()
    monkeypatch.setattr("os.access", lambda path, mode: not mode & denied)
    found = [each for each in findings() if str(sink) in each]
    assert [said in each for each in found] == ([True] if said else [])


def test_the_file_system_of_a_sqlite_database(sink: Path, tmp_path: Path) -> None:
    sink.mkdir()
    database = tmp_path / "db.sqlite3"
    database.touch()
    found = list(PLACE(sink, {"NAME": str(database)}))
    assert len(found) == (connection.vendor == "sqlite")
    assert list(PLACE(sink, {"NAME": "/proc/self/status"})) == []
