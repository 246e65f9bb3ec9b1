"""`operations issue`: a file of mandates in, tokens into the queue or a file, never to stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from accounts.management.base import Exit
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, QueuedRun
from batchtokens.models.writing import insert_all
from batchtokens.services.issuing import issue_in_bulk as service
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.disown import disown_operations
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.reports.collect_evidence import collect_evidence
from batchtokens_verifier.evidence import verify_evidence
from batchtokens_verifier.jws import KeySet
from tests import bulk, mandates
from tests.commands import Ended, operations

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


def given(folder: Path, *lines: dict[str, Any] | str) -> str:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    path = folder / "mandates.ndjson"
    path.write_text("\n".join(texts) + "\n")
    return str(path)


def issue(source: str, *options: str) -> Ended:
    return operations("issue", "--from", source, *options)


def handed_out(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_hands_tokens_out_in_a_file_for_its_owners_eyes(
    world: mandates.Savings, tmp_path: Path
) -> None:
    out = tmp_path / "tokens.ndjson"
    source = given(tmp_path, bulk.line(), "", bulk.line(client=None))
    ended = issue(source, "--out", str(out))

    assert ended.code == Exit.OK
    assert out.stat().st_mode & 0o777 == 0o600
    (told,) = handed_out(out)
    assert [row["line"] for row in ended.rows] == [1, 3]
    assert told["id"] == ended.rows[0]["id"]
    assert told["operation_token"] not in ended.out + ended.said
    assert "eyJ" not in ended.out + ended.said
    row = OperationToken.objects.get(pk=told["id"].removeprefix("op_"))
    assert mandates.redeem(world, Issued(told["operation_token"], row)).proceed


def test_queues_and_prints_no_token(world: mandates.Savings, tmp_path: Path) -> None:
    ended = issue(given(tmp_path, bulk.line(), bulk.line(client=None)), "--queue")
    assert ended.code == Exit.OK
    assert QueuedRun.objects.count() == 2
    assert "eyJ" not in ended.out + ended.said


@pytest.mark.parametrize("options", [(), ("--queue", "--out", "x")])
def test_tokens_need_one_place_to_go(
    world: mandates.Savings, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert issue(given(tmp_path, bulk.line()), *options).code == Exit.USAGE
    assert not OperationToken.objects.exists()


def test_an_unreadable_file_is_a_usage_error(world: mandates.Savings, tmp_path: Path) -> None:
    assert issue(str(tmp_path / "nothing"), "--queue").code == Exit.USAGE
    assert issue(str(tmp_path), "--queue").code == Exit.USAGE


def test_an_empty_file_matches_nothing(world: mandates.Savings, tmp_path: Path) -> None:
    assert issue(given(tmp_path, "", "  "), "--queue").code == Exit.NOTHING_MATCHED


def test_a_file_that_is_there_is_never_replaced(world: mandates.Savings, tmp_path: Path) -> None:
    source = given(tmp_path, bulk.line())
    assert issue(source, "--out", source).code == Exit.REFUSED
    assert not OperationToken.objects.exists()


def test_bad_lines_are_told_by_number_and_code(world: mandates.Savings, tmp_path: Path) -> None:
    source = given(tmp_path, "{", bulk.line(), bulk.line(user="nobody"))
    ended = issue(source, "--queue")
    assert ended.code == Exit.PARTIAL
    told = [(row["line"], row["status"], row["code"]) for row in ended.rows]
    assert told == [
        (1, "refused", "invalid_operation"),
        (2, "issued", ""),
        (3, "refused", "person_not_valid"),
    ]
    assert "line 1: invalid_operation" in ended.said
    assert "line 3: /user person_not_valid" in ended.said


def test_a_dry_run_issues_nothing(world: mandates.Savings, tmp_path: Path) -> None:
    out = tmp_path / "tokens.ndjson"
    ended = issue(given(tmp_path, bulk.line()), "--out", str(out), "--dry-run")
    assert ended.code == Exit.OK
    assert not out.exists()
    assert not OperationToken.objects.exists()


def test_a_crash_between_chunks_loses_nothing_and_the_same_file_goes_on(
    world: mandates.Savings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = given(tmp_path, *[bulk.line(reference=f"r{number}") for number in range(5)])
    monkeypatch.setattr(service, "CHUNK", 2)
    entries = 0

    def crash(model: Any, rows: Any) -> None:
        nonlocal entries
        insert_all(model, rows)
        entries += model is LedgerEntry
        if entries == 2:
            raise DatabaseError("the connection is lost")

    monkeypatch.setattr(service, "insert_all", crash)
    first = issue(source, "--out", str(tmp_path / "first"))
    assert first.code == Exit.ERROR
    assert len(handed_out(tmp_path / "first")) == len(first.rows) == 2
    assert OperationToken.objects.count() == LedgerEntry.objects.of_operations().count() == 2

    monkeypatch.setattr(service, "insert_all", insert_all)
    second = issue(source, "--out", str(tmp_path / "second"))
    assert second.code == Exit.OK
    assert [row["status"] for row in second.rows] == ["repeated"] * 2 + ["issued"] * 3
    both = [handed_out(tmp_path / name) for name in ("first", "second")]
    assert both[1][:2] == both[0]
    assert OperationToken.objects.count() == 5


def test_its_evidence_verifies_offline(
    world: mandates.Savings, tmp_path: Path, settings: Any
) -> None:
    settings.LEDGER_SINK = tmp_path / "sink"
    ended = issue(given(tmp_path, bulk.line()), "--queue")
    Sealing().look()
    row = OperationToken.objects.get(pk=ended.rows[0]["id"].removeprefix("op_"))
    pack = json.loads(json.dumps(collect_evidence(row)))
    keys = KeySet.from_jwks(current_key_ring().jwks())
    assert verify_evidence(pack, keys=keys).operation_id == row.public_id


def test_a_token_that_is_not_kept_is_told(world: mandates.Savings, tmp_path: Path) -> None:
    source = given(tmp_path, bulk.line(reference="a"))
    assert issue(source, "--queue").code == Exit.OK
    ended = issue(source, "--out", str(tmp_path / "tokens"))
    assert ended.code == Exit.PARTIAL
    assert [(row["status"], row["code"]) for row in ended.rows] == [("repeated", "token_not_kept")]


def test_the_ledger_is_clean_and_the_tokens_can_be_signed_anew(
    world: mandates.Savings, tmp_path: Path
) -> None:
    assert issue(given(tmp_path, bulk.line(), bulk.line(client=None)), "--queue").code == Exit.OK
    assert [found for _, page in verify_ledger() for found in page] == []
    row = OperationToken.objects.first()
    assert row is not None
    disown_operations(kid=row.kid, reason="test")
    assert HoldKind.SYSTEM in OperationToken.objects.get(pk=row.pk).holds
    (page,) = reissue_operations(among=reissuable(), reason="test")
    assert (len(page.signed), page.lost) == (2, [])
    assert [found for _, page in verify_ledger() for found in page] == []
