"""Unit tests open no socket and ask no database."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a database test that was put into the wrong folder."""
    for item in items:
        if "/unit/" in item.path.as_posix() and item.get_closest_marker("django_db"):
            raise pytest.UsageError(f"{item.nodeid}: unit tests have no database")


@pytest.fixture(autouse=True)
def _no_network(socket_disabled: None) -> None:
    """Block sockets."""
