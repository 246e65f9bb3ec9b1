"""What every test starts from: the database it runs on, and nothing left in a process's caches."""

from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings

from accounts.tokens.keyring import forget_key_ring

POSTGRESQL = "django.db.backends.postgresql"

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")


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
    yield
    forget_key_ring()
