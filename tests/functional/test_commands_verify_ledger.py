"""`verify_ledger`: quiet when all is well, a line and exit 6 for what is not."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.management.base import Exit, Findings
from batchtokens.models import LedgerEntry, OperationToken
from tests import mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operation() -> OperationToken:
    """Issue a mandate and redeem it once."""
    world = mandates.savings()
    issued = mandates.issue(world)
    mandates.redeem(world, issued)
    return issued.row


def verify(**options: Any) -> tuple[Any, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_ledger", format="json", stdout=out, stderr=err, **options)
    except Findings as found:
        return json.loads(out.getvalue()), str(found)
    return json.loads(out.getvalue()), err.getvalue()


def execute(sql: str, *parameters: str) -> None:
    with as_insider(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def test_an_empty_ledger_is_in_order() -> None:
    assert verify() == ([], "0 ledgers verified.\n")


@pytest.mark.usefixtures("operation")
def test_an_untouched_ledger_is_in_order() -> None:
    assert verify() == ([], "1 ledgers verified.\n")


def test_an_edited_entry_is_named(operation: OperationToken) -> None:
    entry = LedgerEntry.objects.get(operation_token=operation, seq=2)
    edited = entry.entry.replace("50.00", "51.00")
    table = LedgerEntry._meta.db_table
    execute(f"UPDATE {table} SET entry = %s WHERE id = %s", edited, str(entry.pk))
    rows, summary = verify()
    assert rows == [{"id": operation.public_id, "seq": 2, "problem": "the entry's hash is wrong"}]
    assert summary == "1 of 1 ledgers are not as they should be."


def test_a_changed_row_is_named(operation: OperationToken) -> None:
    execute(f"UPDATE {OperationToken._meta.db_table} SET taken_count = 0")
    rows, _ = verify()
    assert [(row["id"], row["seq"]) for row in rows] == [(operation.public_id, 0)]


def test_findings_have_an_exit_code_of_their_own() -> None:
    assert (Findings.code, int(Exit.FINDINGS)) == (Exit.FINDINGS, 6)
