"""Drivers whose commit() does nothing, and effects that end the transaction themselves."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batchtokens_verifier.errors import NoPermission
from tests.integration.verifier import test_effects
from tests.integration.verifier.test_effects import Connect, effects, moved, moving, redemption

connect = test_effects.connect
postgres = test_effects.postgres


class NotByMethods(sqlite3.Connection):
    """A driver in autocommit: its commit() and rollback() do nothing (sqlite3 3.12, psycopg2)."""

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass


@pytest.fixture
def autocommitting(connect: Connect, tmp_path: Path) -> Connect:
    def opened() -> sqlite3.Connection:
        return sqlite3.connect(
            tmp_path / "bank.sqlite3", isolation_level=None, factory=NotByMethods
        )

    return opened


def test_driver_in_autocommit_stores_what_is_told(
    connect: Connect, autocommitting: Connect
) -> None:
    with closing(autocommitting()) as database:
        assert effects().run(database, redemption(), moving()).is_new

    assert moved(connect) == 1


def test_driver_in_autocommit_undoes_what_failed(connect: Connect, autocommitting: Connect) -> None:
    def failing(cursor: Any) -> str:
        moving()(cursor)
        raise RuntimeError("no such account")

    with closing(autocommitting()) as database:
        with pytest.raises(RuntimeError, match="account"):
            effects().run(database, redemption(), failing)
        assert not database.in_transaction
        effects().run(database, redemption("rdm_b"), moving())

    assert moved(connect) == 1


def ending(verb: str, placeholder: str = "?") -> Any:
    def effect(cursor: Any) -> str:
        cursor.execute(verb)
        moving(placeholder)(cursor)
        return "transfer-1"

    return effect


@pytest.mark.parametrize("verb", ["ROLLBACK", "COMMIT"])
def test_effect_that_ends_the_transaction_is_undone(connect: Connect, verb: str) -> None:
    with closing(connect()) as database, pytest.raises(sqlite3.OperationalError):
        effects().run(database, redemption(), ending(verb))

    assert moved(connect) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize("verb", ["ROLLBACK", "COMMIT"])
def test_effect_that_ends_psycopgs_transaction_is_an_error(
    postgres: Connect, verb: str, autocommit: bool
) -> None:
    with closing(postgres()) as database:
        database.autocommit = autocommit
        with pytest.raises(psycopg.Error):
            effects("%s").run(database, redemption(), ending(verb, "%s"))

    # Out of its transaction, and in autocommit: nobody can undo that.
    assert moved(postgres) == autocommit


def test_id_without_its_effect_is_never_called_done(connect: Connect) -> None:
    with closing(connect()) as database:
        with pytest.raises(sqlite3.OperationalError):
            effects().run(database, redemption(), ending("COMMIT"))
        with pytest.raises(NoPermission):
            effects().run(database, redemption(attempt=2), moving())

    assert moved(connect) == 0
