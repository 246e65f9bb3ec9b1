"""One effect for each redemption id, whoever races for it, on each database and driver."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.effects import Effects, Outcome
from batchtokens_verifier.errors import NoPermission
from batchtokens_verifier.redemptions import Redemption

NOW = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=5)
Connect = Callable[[], Any]


def redemption(name: str = "rdm_a", **changes: Any) -> Redemption:
    good = Redemption(
        redemption_id=name,
        slot="o0",
        status="reserved",
        attempt=1,
        amount=Amount(5000, "USD"),
        proceed=True,
        lease_expires_at=LEASE,
        remaining={},
        receipt="a.b.c",
    )
    return replace(good, **changes)


def effects(placeholder: str = "?", at: datetime = NOW) -> Effects:
    return Effects(placeholder, clock=lambda: at)


def moving(placeholder: str = "?") -> Callable[[Any], str]:
    def effect(cursor: Any) -> str:
        cursor.execute(f"INSERT INTO transfers (minor) VALUES ({placeholder})", (5000,))
        return "transfer-1"

    return effect


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    def opened() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "bank.sqlite3", timeout=30)

    with closing(opened()) as database:
        database.execute("CREATE TABLE transfers (minor INTEGER)")
        database.execute(effects().schema)
    return opened


def moved(connect: Connect) -> int:
    with closing(connect()) as database:
        return int(database.execute("SELECT count(*) FROM transfers").fetchone()[0])


def test_effect_and_id_are_stored_together(connect: Connect) -> None:
    with closing(connect()) as database:
        outcome = effects().run(database, redemption(), moving())

    assert outcome == Outcome("transfer-1", attempt=1, is_new=True)
    assert moved(connect) == 1


def test_second_run_gets_the_first_ones_outcome(connect: Connect) -> None:
    with closing(connect()) as database:
        effects().run(database, redemption(), moving())
        again = effects().run(database, redemption(attempt=2), moving())

    assert again == Outcome("transfer-1", attempt=1, is_new=False)
    assert moved(connect) == 1


def test_without_permission_only_what_was_done_is_told(connect: Connect) -> None:
    with closing(connect()) as database:
        with pytest.raises(NoPermission):
            effects().run(database, redemption(proceed=False), moving())
        effects().run(database, redemption(), moving())
        found = effects().run(database, redemption(proceed=False), moving())

    assert (found.is_new, moved(connect)) == (False, 1)


@pytest.mark.parametrize(("seconds", "acts"), [(-1, True), (0, False), (1, False)])
def test_permission_ends_with_the_lease(connect: Connect, seconds: int, acts: bool) -> None:
    late = effects(at=LEASE + timedelta(seconds=seconds))

    with closing(connect()) as database:
        if acts:
            late.run(database, redemption(), moving())
        else:
            with pytest.raises(NoPermission):
                late.run(database, redemption(), moving())

    assert moved(connect) == acts


def test_effect_that_outlives_its_lease_is_undone(connect: Connect) -> None:
    instants = iter([LEASE - timedelta(seconds=1), LEASE])
    slow = Effects("?", clock=lambda: next(instants))

    with closing(connect()) as database, pytest.raises(NoPermission):
        slow.run(database, redemption(), moving())

    assert moved(connect) == 0


def test_effect_that_fails_leaves_the_slot_for_a_later_attempt(connect: Connect) -> None:
    def failing(cursor: Any) -> str:
        moving()(cursor)
        raise RuntimeError("no such account")

    with closing(connect()) as database:
        with pytest.raises(RuntimeError, match="account"):
            effects().run(database, redemption(), failing)
        assert moved(connect) == 0
        assert effects().run(database, redemption(attempt=2), moving()).is_new


def test_open_transaction_is_not_committed_along(connect: Connect) -> None:
    with closing(connect()) as database:
        database.execute("INSERT INTO transfers VALUES (1)")
        with pytest.raises(ValueError, match="open"):
            effects().run(database, redemption(), moving())

    assert moved(connect) == 0


def test_id_is_never_stored_outside_of_a_transaction(connect: Connect) -> None:
    with closing(connect()) as database, pytest.raises(ValueError, match="begin"):
        effects().run_inside(database.cursor(), redemption(), moving())

    assert moved(connect) == 0


@pytest.mark.parametrize(
    ("placeholder", "table"), [("?", "a; DROP TABLE b"), ("?", ""), (":1", "a"), ("?", "A b")]
)
def test_names_are_plain(placeholder: str, table: str) -> None:
    with pytest.raises(ValueError, match="placeholder"):
        Effects(placeholder, table)


def race(connect: Connect, placeholder: str, ids: int = 4, runs: int = 8) -> list[Outcome]:
    """Run each id's effect at once from many threads, each with its own connection."""
    barrier = Barrier(ids * runs)

    def run(number: int) -> Outcome:
        with closing(connect()) as database:
            barrier.wait(timeout=30)
            asked = redemption(f"rdm_{number % ids}", attempt=1 + number)
            return effects(placeholder).run(database, asked, moving(placeholder))

    with ThreadPoolExecutor(ids * runs) as pool:
        return list(pool.map(run, range(ids * runs)))


@pytest.mark.race
def test_race_on_a_sqlite_file_has_one_winner_an_id(connect: Connect) -> None:
    outcomes = race(connect, "?")

    assert sum(outcome.is_new for outcome in outcomes) == 4
    assert moved(connect) == 4


@pytest.fixture
def postgres(transactional_db: None) -> Iterator[Connect]:
    parameters = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name in ("dbname", "user", "password", "host", "port")
    }

    def opened() -> Any:
        return psycopg.connect(**parameters)

    with closing(opened()) as database:
        database.execute("CREATE TABLE transfers (minor INTEGER)")
        database.execute(effects("%s").schema)
        database.commit()
    yield opened
    with closing(opened()) as database:
        database.execute("DROP TABLE transfers, redemption_effects")
        database.commit()


@pytest.mark.postgresql
@pytest.mark.race
@pytest.mark.parametrize("autocommit", [False, True])
def test_race_on_postgresql_has_one_winner_an_id(postgres: Connect, autocommit: bool) -> None:
    def opened() -> Any:
        database = postgres()
        database.autocommit = autocommit
        return database

    outcomes = race(opened, "%s")

    assert sum(outcome.is_new for outcome in outcomes) == 4
    assert moved(postgres) == 4


@pytest.mark.postgresql
def test_psycopg_keeps_effect_and_id_together(postgres: Connect) -> None:
    def failing(cursor: Any) -> str:
        moving("%s")(cursor)
        raise RuntimeError("no such account")

    with closing(postgres()) as database:
        database.autocommit = True
        with pytest.raises(RuntimeError, match="account"):
            effects("%s").run(database, redemption(), failing)
        with pytest.raises(ValueError, match="begin"):
            effects("%s").run_inside(database.cursor(), redemption(), moving("%s"))

    assert moved(postgres) == 0


@pytest.fixture
def django_tables(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE transfers (minor INTEGER)")
        cursor.execute(effects("%s").schema)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE transfers")
        cursor.execute("DROP TABLE redemption_effects")


@pytest.mark.usefixtures("django_tables")
def test_djangos_transaction_holds_the_effect() -> None:
    def run(asked: Redemption) -> Outcome:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            return effects("%s").run_inside(cursor, asked, moving("%s"))

    assert [run(redemption()).is_new for _ in range(2)] == [True, False]


@pytest.mark.usefixtures("django_tables")
def test_django_without_a_transaction_is_refused() -> None:
    with connection.cursor() as cursor, pytest.raises(ValueError, match="begin"):
        effects("%s").run_inside(cursor, redemption(), moving("%s"))
