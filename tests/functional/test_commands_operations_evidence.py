"""`operations evidence` and `verify_evidence`: written once, verified anywhere."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.management.base import Exit
from accounts.tokens.keyring import current_key_ring
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.seal import Sealing
from batchtokens_verifier.__main__ import HOLDS, REFUSED, main
from tests import mandates
from tests.commands import operations

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def op(issued: Issued, world: mandates.Savings, settings: Any, tmp_path: Path) -> str:
    """Return a redeemed operation whose sealer has run."""
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    mandates.redeem(world, issued)
    Sealing().look()
    return issued.row.public_id


@pytest.fixture
def jwks(op: str, tmp_path: Path) -> str:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(current_key_ring().jwks()))
    return str(path)


@pytest.mark.parametrize("name", ["pack.json", "pack.zip"])
def test_writes_what_verifies_offline(name: str, op: str, jwks: str, tmp_path: Path) -> None:
    out = tmp_path / name
    written = operations("evidence", op, "--out", str(out))
    assert (written.code, written.rows["entries"], written.rows["receipts"]) == (Exit.OK, 2, 1)
    assert written.rows["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert "salt" in written.said
    assert out.stat().st_mode & 0o777 == 0o600

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a database was asked")

    with connection.execute_wrapper(refuse):
        judged = operations("verify_evidence", str(out), "--keys", jwks)
        alone = operations("verify_evidence", str(out))
    assert (judged.code, judged.rows["id"], judged.rows["verdict"]) == (Exit.OK, op, "accepted")
    assert judged.rows["redemptions"] == {"p0": "reserved"}
    assert (alone.code, alone.rows["keys"]) == (Exit.OK, "the pack's own")
    assert "compare them" in alone.said


@pytest.mark.parametrize("name", ["pack.json", "pack.zip"])
def test_who_has_the_verifier_alone_judges_it_as_well(
    name: str, op: str, jwks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    operations("evidence", op, "--out", str(out))

    assert main(["evidence", str(out), "--keys", jwks]) == HOLDS

    proven = json.loads(capsys.readouterr().out)
    assert (proven["verdict"], proven["operation_id"]) == ("accepted", op)
    assert (proven["keys_trusted"], proven["redemptions"]) == (True, {"p0": "reserved"})
    edited = tmp_path / "edited.json"
    operations("evidence", op, "--out", str(edited))
    edited.write_text(edited.read_text().replace("sav-7781", "sav-6666"))
    assert main(["evidence", str(edited), "--keys", jwks]) == REFUSED
    assert json.loads(capsys.readouterr().out)["where"].startswith("/mandate")


def test_an_edit_ends_with_6_and_says_where(op: str, jwks: str, tmp_path: Path) -> None:
    out = tmp_path / "pack.json"
    operations("evidence", op, "--out", str(out))
    out.write_text(out.read_text().replace("sav-7781", "sav-6666"))
    ended = operations("verify_evidence", str(out), "--keys", jwks)
    assert (ended.code, ended.rows["code"]) == (Exit.FINDINGS, "evidence_not_valid")
    assert ended.rows["where"] == "/mandate/summary" or ended.rows["where"].startswith("/mandate")


def test_what_is_not_sealed_yet_is_refused(issued: Issued, tmp_path: Path) -> None:
    out = tmp_path / "pack.json"
    ended = operations("evidence", issued.row.public_id, "--out", str(out))
    assert (ended.code, out.exists()) == (Exit.REFUSED, False)
    assert "sealed" in ended.said


def test_no_file_is_overwritten_and_no_other_kind_is_written(op: str, tmp_path: Path) -> None:
    out = tmp_path / "pack.json"
    out.write_text("mine")
    assert operations("evidence", op, "--out", str(out)).code == Exit.REFUSED
    assert out.read_text() == "mine"
    assert operations("evidence", op, "--out", str(tmp_path / "pack.pdf")).code == Exit.USAGE
    missing = f"op_{'0' * 32}"
    assert operations("evidence", missing, "--out", str(out)).code == Exit.NOTHING_MATCHED


def test_what_is_no_pack_is_a_usage_error(op: str, jwks: str, tmp_path: Path) -> None:
    path = tmp_path / "pack"
    for content in (b"", b"{", b"PK\x03\x04 broken", b"\xff"):
        path.write_bytes(content)
        assert operations("verify_evidence", str(path)).code == Exit.USAGE
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("else.json", "{}")
    assert operations("verify_evidence", str(path)).code == Exit.USAGE
    assert operations("verify_evidence", str(tmp_path / "missing")).code == Exit.USAGE
    path.write_text("{}")
    assert operations("verify_evidence", str(path)).code == Exit.FINDINGS
