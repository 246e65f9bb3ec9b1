"""Who may still sign, or commit what was signed, with a key that is found out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection

from accounts.management.base import Exit
from accounts.models import User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import EntryKind
from batchtokens.models.clock import database_now
from batchtokens.models.ledger import append_authority_entry
from batchtokens.services.keys.disown import compromised_since
from batchtokens.services.keys.open_signers import open_signers
from tests import mandates
from tests.commands import ended

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
PEOPLE = f'"{User._meta.db_table}"'
SIGNING = f"SELECT FROM {PEOPLE} WHERE false FOR NO KEY UPDATE"


@pytest.fixture
def kid() -> str:
    """Return the key of one operation token."""
    ensure_signing_keys()
    return mandates.issue(mandates.savings()).row.kid


@contextmanager
def elsewhere(statement: str) -> Iterator[None]:
    """Hold what a statement locks, in the transaction of another connection."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(statement)
        yield
    finally:
        other.rollback()
        other.close()


@pytest.mark.parametrize(
    ("statement", "counts"),
    [
        (SIGNING, True),
        (f"UPDATE {PEOPLE} SET username = username WHERE false", True),
        (f"SELECT FROM {PEOPLE}", False),
        # as a vacuum does, which a mass of changed rows brings about
        (f"LOCK TABLE {PEOPLE} IN SHARE UPDATE EXCLUSIVE MODE", False),
    ],
)
def test_only_who_locks_rows_may_have_signed(statement: str, counts: bool) -> None:
    with elsewhere(statement):
        assert bool(open_signers()) is counts


def test_who_does_not_wait_is_told_of_those_that_are_not_done(kid: str) -> None:
    words = ("--compromised", "--no-wait", "--reason", "found out", "--yes")
    with elsewhere(SIGNING):
        assert ended("retire_key", kid, *words).code == Exit.PARTIAL

    assert ended("retire_key", kid, *words).code == Exit.OK


def test_a_key_ends_anew_with_a_restore(kid: str) -> None:
    """Until it is over, processes of the older copy take the key for a good one."""
    assert compromised_since(kid=kid) is None
    ended("retire_key", kid, "--compromised", "--no-wait", "--reason", "found out", "--yes")
    told = compromised_since(kid=kid)
    later = database_now() + timedelta(hours=1)

    append_authority_entry(EntryKind.RECONCILED, at=later, data={})

    assert told is not None
    assert compromised_since(kid=kid) == later
