"""Unit tests open no socket and ask no database."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a database test that was put into the wrong folder."""
    for item in items:
        if "/unit/" in item.path.as_posix() and item.get_closest_marker("django_db"):
            raise pytest.UsageError(f"{item.nodeid}: unit tests have no database")


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """Block sockets, but for the pair by which an event loop wakes itself."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
