"""Bulk issue of lines that are no lines: a clear code, nothing stored, no other line spoiled."""

from __future__ import annotations

import json

import pytest

from batchtokens.models import LedgerEntry, OperationToken
from batchtokens.services.issuing.issue_in_bulk import BulkStatus
from tests import bulk, mandates

pytestmark = pytest.mark.django_db

GOOD = json.dumps(bulk.line()).encode()
BAD = {
    "duplicate_member": GOOD[:-1] + b', "user": "bob"}',
    "duplicate_inside": GOOD.replace(b'"action":', b'"action": "x", "action":'),
    "number_as_money": GOOD.replace(b'"50.00"', b"50.00"),
    "number_as_limit": json.dumps(
        bulk.line(constraints=mandates.constraints(max_total={"amount": 1, "currency": "USD"}))
    ).encode(),
    "nul_in_operation": GOOD.replace(b"monthly savings", b"\\u0000"),
    "nul_in_user": GOOD.replace(b'"alice"', b'"alice\\u0000"'),
    "nul_in_reference": GOOD[:-1] + b', "reference": "\\u0000"}',
    "nul_in_consent": GOOD[:-1] + b', "consent_id": "cns_\\u0000"}',
    "raw_nul": GOOD.replace(b"monthly", b"\0"),
    "too_long": GOOD[:-1] + b" " * 65536 + b"}",
    "not_utf8": GOOD.replace(b"monthly", b"\xff"),
    "lone_surrogate": GOOD.replace(b"monthly", b"\\ud800"),
    "array": b"[]",
    "text": b"alice",
    "deep": b"[" * 60000,
    "unknown_member": GOOD[:-1] + b', "token": "x"}',
    "missing": b"{}",
    "unknown_constraint": GOOD.replace(b'"valid_to"', b'"valid_until"'),
    "null": GOOD[:-1] + b', "consent_id": null}',
    "type_number": GOOD.replace(b'"savings.deposit", "client"', b'7, "client"'),
    "nan": GOOD.replace(b'"50.00"', b"NaN"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_line_stores_nothing_and_spoils_no_other(name: str) -> None:
    assert BAD[name] != GOOD
    mandates.savings()
    bad, good = bulk.issue(BAD[name], GOOD)
    assert bad.status == BulkStatus.REFUSED
    assert bad.error is not None
    assert bad.error.code in {"invalid", "invalid_operation", "invalid_constraints"}
    assert good.status == BulkStatus.ISSUED
    assert OperationToken.objects.count() == 1
    assert LedgerEntry.objects.of_operations().count() == 1
