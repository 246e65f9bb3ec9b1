"""`python -m batchtokens_verifier`: for who has the file and the keys, and no Django."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchtokens_verifier.__main__ import HOLDS, REFUSED, UNREADABLE, main
from tests.unit.verifier.test_hostile_exports import lines

WITHOUT_DJANGO = """
import runpy, sys
sys.modules["django"] = None
sys.argv[0] = "batchtokens_verifier"
runpy.run_module("batchtokens_verifier", run_name="__main__")
"""


def written(path: Path, told: list[Any]) -> str:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in told))
    return str(path)


@pytest.fixture
def export(tmp_path: Path) -> str:
    return written(tmp_path / "ledger.ndjson", lines())


def test_an_export_holds(export: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", export]) == HOLDS

    out, err = capsys.readouterr()
    verdict = json.loads(out)
    assert (verdict["verdict"], verdict["entries"], verdict["chains"]) == ("accepted", 5, 2)
    assert "own keys" in err


def test_it_needs_no_framework(export: str) -> None:
    command = [sys.executable, "-c", WITHOUT_DJANGO, "ledger", export]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (ended.returncode, json.loads(ended.stdout)["verdict"]) == (HOLDS, "accepted")


def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = lines()
    told[3]["entry"] = told[3]["entry"].replace("50.00", "51.00")

    assert main(["ledger", written(tmp_path / "edited", told)]) == REFUSED

    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["verdict"], verdict["code"]) == ("refused", "ledger_not_valid")
    assert verdict["findings"][0]["seq"] == 2


@pytest.mark.parametrize("kept", ["no checkpoint", ""])
def test_what_was_kept_must_be_in_it(
    export: str, kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.jwt").write_text(kept)

    assert main(["ledger", export, "--checkpoint", str(tmp_path / "kept.jwt")]) == REFUSED

    assert "kept elsewhere" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"[]", b"{}\n{}", b"no", b"\0\0"], ids=str)
def test_what_is_no_export_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert main(["ledger", str(path)]) == REFUSED
    assert json.loads(capsys.readouterr().out)["code"] == "ledger_not_valid"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("ledger", b"\xff\xfe"),
        ("evidence", b""),
        ("evidence", b"{"),
        ("evidence", b"PK\x03\x04 broken"),
        ("evidence", b"\xff"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(
    kind: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert main([kind, str(path)]) == UNREADABLE
    assert main([kind, str(tmp_path / "missing")]) == UNREADABLE
    assert main([kind, str(tmp_path)]) == UNREADABLE
    assert main([kind, str(path), "--keys", str(path)]) == UNREADABLE
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 4)


def test_what_is_no_evidence_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pack.json").write_text("{}")

    assert main(["evidence", str(tmp_path / "pack.json")]) == REFUSED
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["code"], verdict["where"]) == ("evidence_not_valid", "")


def test_how_it_is_asked_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])

    assert ended.value.code == UNREADABLE
    assert "evidence" in capsys.readouterr().err
