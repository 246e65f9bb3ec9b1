"""docs/invariants.md names what exists, and the documents name no test that is gone."""

import re
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest
from django.apps import apps

from tests.repository.tree import text, tracked

PAGE = "docs/invariants.md"
IDS = [f"I{number}" for number in range(1, 17)]
ROW = re.compile(r"^\| (I\d+) \|([^|]+)\|([^|]+)\|([^|]+)\|$", re.MULTILINE)
ROWS = {row[1]: row for row in ROW.finditer(text(PAGE))}
QUOTED = re.compile(r"`([^`]+)`")
TEST_FILE = re.compile(r"`((?:[\w*]+/)*test_[\w*]+\.py)`")


def test_each_invariant_has_its_row_in_order() -> None:
    assert list(ROWS) == IDS


@pytest.mark.parametrize("invariant", IDS)
def test_its_tests_are_there(invariant: str) -> None:
    named = QUOTED.findall(ROWS[invariant][4])
    assert named
    assert set(named) <= set(tracked("tests/*.py"))


@pytest.mark.parametrize("invariant", IDS)
def test_its_constraints_are_there(invariant: str) -> None:
    known = {each.name for model in apps.get_models() for each in model._meta.constraints}
    assert set(QUOTED.findall(ROWS[invariant][3])) <= known


@pytest.mark.parametrize("document", tracked("docs/*.md", "*.md"))
def test_documents_name_tests_that_are_there(document: str) -> None:
    there = tracked("tests/*.py")
    names = [PurePosixPath(path).name for path in there]
    for named in TEST_FILE.findall(text(document)):
        among = there if "/" in named else names
        assert any(fnmatch(path, named) for path in among), named
