"""Helpers around compromised keys: what they signed is disowned, and signed anew."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import ServiceClient
from accounts.services.retire_signing_key import retire_signing_key
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
    LedgerEntry,
    OperationToken,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.fetch_token import Fetched, fetch_reissued_token
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.verify_ledger import verify_ledger
from tests import mandates

DAILY: dict[str, Any] = {
    "schedule": "FREQ=DAILY;COUNT=3",
    "due_window": "PT12H",
    "periodic_limits": None,
}


def compromise(issued: Issued) -> OperationToken:
    """Find the key compromised that signed this; return the row as it is then."""
    retire_signing_key(kid=issued.row.kid, reason="found in a backup", compromised=True)
    return stored(issued)


def stored(issued: Issued) -> OperationToken:
    return OperationToken.objects.get(pk=issued.row.pk)


def reissue() -> list[str]:
    pages = reissue_operations(among=reissuable(), reason="all honest")
    return [each for page in pages for each in page.signed]


def fetch(world: mandates.Savings, issued: Issued, by: ServiceClient | None = None) -> Fetched:
    return fetch_reissued_token(by=by or world.trigger.client, public_id=issued.row.public_id)


def renewed(world: mandates.Savings, issued: Issued) -> Issued:
    return Issued(fetch(world, issued).operation_token, stored(issued))


def kinds(issued: Issued) -> list[str]:
    entries = LedgerEntry.objects.filter(operation_token=issued.row.pk).order_by("seq")
    return list(entries.values_list("kind", flat=True))


def check_ledger() -> None:
    assert [found for _, findings in verify_ledger() for found in findings] == []


def trust_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a process that has not heard of the compromised key yet."""
    ring = current_key_ring()
    monkeypatch.setattr("batchtokens.services.redemption.redeem.current_key_ring", lambda **_: ring)
