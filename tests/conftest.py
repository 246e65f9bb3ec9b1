"""What every test starts from: the database it runs on, and nothing left in a process's caches."""

import shutil
from collections.abc import Iterable, Iterator

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db.backends.base.operations import BaseDatabaseOperations
from django.test import Client

from accounts.services import record_event
from accounts.tokens.keyring import forget_key_ring
from batchtokens.services.ledger.check_ledger_head import forget_sink
from tests import browsers
from tests.guards import as_insider

POSTGRESQL = "django.db.backends.postgresql"

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")


_flush = BaseDatabaseOperations.execute_sql_flush


def flush_all(operations: BaseDatabaseOperations, statements: Iterable[str]) -> None:
    """Empty the database with the ledger in it, and with it the checkpoints outside."""
    with as_insider():
        _flush(operations, statements)
    shutil.rmtree(settings.LEDGER_SINK, ignore_errors=True)


BaseDatabaseOperations.execute_sql_flush = flush_all  # type: ignore[assignment,method-assign]  # flush knows no triggers


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On SQLite leave out, by name and count, what only row locks can show."""
    if settings.DATABASES["default"]["ENGINE"] == POSTGRESQL:
        return
    left_out = [item for item in items if item.get_closest_marker("postgresql")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Forget what a former test left in this process."""
    forget_key_ring()
    forget_sink()
    yield
    forget_key_ring()
    forget_sink()


@pytest.fixture(autouse=True)
def _browsers_have_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `Client.force_login` sign in as the sign-in page does."""
    monkeypatch.setattr(Client, "force_login", browsers.force_login)


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no minute end in the test: the log begins a row for each, which others are counted in."""
    monkeypatch.setattr(record_event, "minute_of", lambda _: "the minute of the test")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect one entry for each password that is hashed, to store it or to compare."""
    made: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(self: MD5PasswordHasher, password: str, salt: str) -> str:
        made.append(salt)
        return str(encode(self, password, salt))

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    return made
