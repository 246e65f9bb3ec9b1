"""One cluster of processes for all tests of a module: starting it takes longer than most tests."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from tests.cluster import Cluster, running_cluster


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a module's tests share what they commit; the database is emptied after the last.

    It stands in for pytest-django's fixture, by whose name that plugin knows who needs a database.
    Its mark `django_db` still empties the database after each test.
    """
    with django_db_blocker.unblock():
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def one_cluster(
    transactional_db: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(one_cluster: Cluster) -> Cluster:
    """Return the module's cluster with all that a former test killed, froze or cut restored."""
    one_cluster.restore()
    return one_cluster
