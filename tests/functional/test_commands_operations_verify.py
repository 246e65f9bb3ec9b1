"""`operations verify`: a verdict without a database, from a file or stdin."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.management.base import Exit
from accounts.tokens.keyring import current_key_ring
from batchtokens.services.issuing.issue import Issued
from tests import mandates
from tests.commands import Ended, operations

pytestmark = pytest.mark.django_db(transaction=True)
AUDIENCE = mandates.EXECUTOR_AUDIENCE


class Bench:
    """The files that an operator has."""

    def __init__(self, folder: Path, issued: Issued) -> None:
        self.token = issued.token
        self.keys = self._file(folder / "jwks.json", json.dumps(current_key_ring().jwks()))
        self.file = self._file(folder / "token", f"{issued.token}\n")
        self.folder = folder

    @staticmethod
    def _file(path: Path, text: str) -> Path:
        path.write_text(text)
        return path

    def write(self, name: str, content: Any) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        return str(self._file(self.folder / name, text))

    def verify(self, *arguments: str, audience: str = AUDIENCE) -> Ended:
        return operations("verify", "--keys", str(self.keys), "--audience", audience, *arguments)


@pytest.fixture
def bench(tmp_path: Path, issued: Issued) -> Bench:
    return Bench(tmp_path, issued)


def test_accepts_an_honest_token_and_says_what_that_rests_on(bench: Bench, issued: Issued) -> None:
    ended = bench.verify(str(bench.file))
    assert (ended.code, ended.rows["id"]) == (Exit.OK, issued.row.public_id)
    assert ended.rows["verdict"] == "accepted"
    assert ended.rows["assurance"].startswith("signature, constraints")
    assert bench.token.rpartition(".")[2] not in ended.out + ended.said


def test_asks_no_database(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a database was asked")

    with connection.execute_wrapper(refuse):
        assert bench.verify(str(bench.file)).code == Exit.OK


def test_reads_stdin(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(bench.token.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert bench.verify("-").code == Exit.OK


def test_compares_the_copy_of_a_delivery(bench: Bench) -> None:
    honest = {"operation_token": bench.token, "operation": mandates.OPERATION, "attempt": 1}
    assert bench.verify(bench.write("d", honest)).rows["operation_compared"] is True
    edited = honest | {"operation": {**mandates.OPERATION, "creditor_account": "sav-6666"}}
    ended = bench.verify(bench.write("d", edited))
    assert (ended.code, ended.rows["code"]) == (Exit.FINDINGS, "operation_mismatch")


def test_compares_an_operation_of_its_own_file(bench: Bench) -> None:
    copy = bench.write("o", {**mandates.OPERATION, "reference": "else"})
    ended = bench.verify(str(bench.file), "--operation", copy)
    assert (ended.code, ended.rows["code"]) == (Exit.FINDINGS, "operation_mismatch")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--issuer", "https://another.example"), "operation_token_not_valid"),
        (("--type", "savings.withdrawal"), "operation_token_not_valid"),
        (("--at", "2100-01-01"), "outside_validity"),
        (("--at", "2001-01-01"), "operation_token_not_valid"),
    ],
)
def test_refuses_with_6_and_the_code(arguments: tuple[str, ...], code: str, bench: Bench) -> None:
    ended = bench.verify(str(bench.file), *arguments)
    assert (ended.code, ended.rows["verdict"]) == (Exit.FINDINGS, "refused")
    assert ended.rows["code"] == code


def test_refuses_another_audience_and_a_broken_signature(bench: Bench) -> None:
    assert bench.verify(str(bench.file), audience="https://other.example/").code == Exit.FINDINGS
    head, payload, signature = bench.token.split(".")
    broken = ".".join((head, payload, ("B" if signature[0] == "A" else "A") + signature[1:]))
    assert bench.verify(bench.write("broken", broken)).rows["reason"] == "signature"


def test_refuses_rubbish_without_tripping(bench: Bench) -> None:
    for name, rubbish in {"empty": "", "long": "x" * 70000, "bytes": "\u00ff\u0000"}.items():
        assert bench.verify(bench.write(name, rubbish)).code == Exit.FINDINGS


def test_what_cannot_be_read_is_a_usage_error(bench: Bench, tmp_path: Path) -> None:
    assert bench.verify(str(tmp_path / "missing")).code == Exit.USAGE
    assert bench.verify(bench.write("d", {"operation_token": 1})).code == Exit.USAGE
    assert bench.verify(bench.write("d", "{not json")).code == Exit.USAGE
    bench.keys.write_text("[]")
    assert bench.verify(str(bench.file)).code == Exit.USAGE
    assert operations("verify", str(bench.file)).code == Exit.USAGE
