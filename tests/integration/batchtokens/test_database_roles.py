"""The application works as a role that cannot change the ledger, even where triggers are gone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import ProgrammingError, connection, transaction

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import HoldKind, LedgerEntry
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.redemption.settle import Closing, settle_redemption
from tests import mandates

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

ROLES = Path(django_settings.BASE_DIR) / "deploy/postgresql/roles.sql"
APPLICATION = "authproject_test_application"
INSERT_ONLY = (
    "batchtokens_ledgerentry",
    "batchtokens_ledgerleaf",
    "batchtokens_ledgernode",
    "batchtokens_checkpoint",
    "batchtokens_redemptionattempt",
)


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def _roles(settings: Any, tmp_path: Path) -> None:
    """Make the role in this test's transaction, with the rights of the file that is published."""
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute(f"CREATE ROLE {APPLICATION}")
    text = ROLES.read_text().replace(':"application"', APPLICATION)
    execute(re.sub(r"--.*", "", text.replace(':"owner"', "CURRENT_USER")))


@contextmanager
def as_application() -> Iterator[None]:
    execute(f"SET LOCAL ROLE {APPLICATION}")
    try:
        yield
    finally:
        execute("RESET ROLE")


def refused(sql: str) -> None:
    denied = pytest.raises(ProgrammingError, match=r"permission denied|must be owner")
    with denied, transaction.atomic():
        execute(sql)


@pytest.mark.usefixtures("_roles")
def test_the_application_does_its_work() -> None:
    world = mandates.savings()
    with as_application():
        issued = mandates.issue(world)
        answer = mandates.redeem(world, issued)
        settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1))
        hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=Words(reason="away"))
        assert Sealing().look().placed == LedgerEntry.objects.count()
        assert LedgerEntry.objects.exclude(note="").update(note="") == 1


@pytest.mark.usefixtures("_roles")
def test_it_cannot_change_the_ledger_even_without_triggers() -> None:
    world = mandates.savings()
    mandates.redeem(world, mandates.issue(world))
    Sealing().look()
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table in INSERT_ONLY:
        execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    with as_application():
        for table in INSERT_ONLY:
            refused(f"DELETE FROM {table}")
            refused(f"TRUNCATE {table} CASCADE")
            refused(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        refused("UPDATE batchtokens_ledgerentry SET entry = ''")
        refused("UPDATE batchtokens_ledgerleaf SET hash = ''")
        refused("UPDATE batchtokens_ledgernode SET hash = ''")
        refused("UPDATE batchtokens_checkpoint SET root = ''")
        refused("UPDATE batchtokens_redemptionattempt SET receipt = ''")
        refused("DELETE FROM batchtokens_redemption")
        refused("DELETE FROM batchtokens_operationtoken")
        refused("SET session_replication_role = replica")
