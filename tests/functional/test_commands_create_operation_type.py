"""`create_operation_type`: a definition becomes a type, or its next version."""

import io
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.management.base import Refused, UsageError
from batchtokens.models import OperationType
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)


def create(path: Path | str) -> dict[str, Any]:
    out = StringIO()
    call_command("create_operation_type", "--file", str(path), "--format", "json", stdout=out)
    printed: dict[str, Any] = json.loads(out.getvalue())
    return printed


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def definition(folder: Path, **changes: Any) -> Path:
    path = folder / "definition.json"
    path.write_text(json.dumps(mandates.savings_definition(**changes)))
    return path


@pytest.mark.usefixtures("world")
def test_creates_a_type(tmp_path: Path) -> None:
    path = definition(tmp_path, name="savings.other", meta_scope="trigger_other")
    assert create(path) == {"id": "savings.other", "name": "savings.other", "version": 1}
    assert OperationType.objects.active().get(name="savings.other").executor.client_id == "savings"


@pytest.mark.usefixtures("world")
def test_the_same_definition_changes_nothing(tmp_path: Path) -> None:
    assert create(definition(tmp_path))["version"] == 1
    assert OperationType.objects.count() == 1


def test_a_version_that_has_issued_stays(tmp_path: Path, world: mandates.Savings) -> None:
    mandates.issue(world)
    assert create(definition(tmp_path, max_lifetime_days=30))["version"] == 2
    assert OperationType.objects.get(version=1).max_lifetime_days == 366


@pytest.mark.usefixtures("world")
def test_reads_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = definition(tmp_path).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert create("-")["name"] == "savings.deposit"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"executor": "nobody"}, "/executor"),
        ({"trigger_clients": ["trigger", "nobody"]}, "/trigger_clients/1"),
        ({"summary": "Deposit something."}, "/summary"),
        ({"consent": "none"}, "/consent"),
        ({"surprise": True}, "/surprise"),
        ({"max_lifetime_days": 0}, "/max_lifetime_days"),
    ],
)
def test_what_is_refused_is_named(changes: dict[str, Any], pointer: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"^{pointer} "):
        create(definition(tmp_path, **changes))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "is not strict JSON"), ('{"name": "a", "name": "b"}', "strict"), ("[]", "not a JSON")],
)
def test_what_is_no_definition_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "definition.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=sentence):
        create(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.json cannot be read: No such file"):
        create(tmp_path / "absent.json")
