"""A redemption costs three statements, with few rows and with many."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from accounts.models import ApiKey
from batchtokens.models import LedgerEntry, OperationToken, Redemption
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.set_caps import Caps, set_caps
from tests import mandates
from tests.budgets import ROWS, budget, multiply, unhurried
from tests.factories import basic

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(scope="module", params=ROWS, ids=str)
def world(
    request: Any, django_db_setup: None, django_db_blocker: Any
) -> Iterator[mandates.Savings]:
    """Fill the tables once for this module's tests; the rows go as they came."""
    around = transaction.atomic()
    setattr(around, "_from_testcase", True)  # noqa: B010 - services may open durable ones in it
    with django_db_blocker.unblock(), around:
        world = mandates.savings(max_live_mandates=1_000_000)
        issued = mandates.issue(world)
        mandates.redeem(world, issued)
        unique = {"token_hash": "'copy-' || n", "subject_digest": "'copy-' || n"}
        unique["status_index"] = "(t.status_index + n) & 1048575"
        multiply(issued.row, request.param, unique=unique)
        fill_ledger()
        with unhurried():
            connection.check_constraints()  # the rows' own, or each test would pay for them all
        yield world
        transaction.set_rollback(True)


def fill_ledger() -> None:
    """Give each copied token an entry and a redemption of its own, in one statement each."""
    entry, redemption = LedgerEntry._meta.db_table, Redemption._meta.db_table
    tokens = OperationToken._meta.db_table
    with unhurried(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {entry} (operation_token_id, seq, kind, at, entry, hash, note)"
            f" SELECT t.id, 1, 'issued', t.issued_at, '{{}}', '', '' FROM {tokens} t"
            " WHERE t.token_hash LIKE 'copy-%%'",
            [],
        )
        cursor.execute(
            f"INSERT INTO {redemption} (id, operation_token_id, slot, status, attempt,"
            " amount_minor, currency, counts_at, reserved_at, lease_expires_at, reference,"
            " releases, closing_receipt) SELECT 'rdm_' || t.token_hash, t.id, 'p0', 'reserved',"
            " 1, 5000, 'USD', t.issued_at, t.issued_at, t.issued_at, '', 0, ''"
            f" FROM {tokens} t WHERE t.token_hash LIKE 'copy-%%'",
            [],
        )


@pytest.fixture(autouse=True)
def _was_just_used(world: mandates.Savings) -> None:
    """Let the key look just used: it notes that once a minute, and filling may take longer."""
    ApiKey.objects.update(last_used_at=database_now())


def redeem(world: mandates.Savings, token: str, key: str) -> Any:
    return Client(enforce_csrf_checks=True).post(
        "/api/v1/redemptions",
        json.dumps({"operation_token": token, "operation": mandates.OPERATION}),
        content_type="application/json",
        headers={**basic(world.executor.client, world.executor.secret), "Idempotency-Key": key},
    )


def test_redeems_in_three_statements(world: mandates.Savings) -> None:
    issued = mandates.issue(world)

    with budget(3):
        answer = redeem(world, issued.token, "budget")

    assert answer.status_code == 201, answer.content


def test_answers_a_retry_in_two(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    first = redeem(world, issued.token, "budget")

    with budget(2):
        answer = redeem(world, issued.token, "budget")

    assert (answer.status_code, answer.json()["receipt"]) == (200, first.json()["receipt"])


def test_redeems_within_caps_in_three_statements(world: mandates.Savings) -> None:
    caps = Caps(max_count_minute=9, max_count_day=9, max_minor_day=10**6, currency="USD")
    set_caps(executor=world.redeemer, caps=caps, reason="budget")
    issued = mandates.issue(world)

    # SQLite has no writing CTE: there the use is a statement of its own.
    with budget(3 if connection.vendor == "postgresql" else 4):
        answer = redeem(world, issued.token, "capped")

    assert answer.status_code == 201, answer.content
