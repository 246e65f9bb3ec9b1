"""What no file of the repository may hold."""

import re

import pytest

from authproject.management.documents import DOCUMENTS
from tests.repository.tree import text, tracked

EVERYTHING = tracked()
LARGEST = 500_000  # bytes


def holding(pattern: str, *, but: tuple[str, ...] = ()) -> list[str]:
    return [path for path in EVERYTHING if path not in but and re.search(pattern, text(path))]


def test_no_paths_of_a_machine() -> None:
    assert holding(r"(?<![\w.}\]])/(?:root|home/[a-z]+|Users/[A-Z]\w*|work)/\w") == []


def test_no_private_keys() -> None:
    begin = "-----BEGIN"
    assert holding(rf"{begin} (?:[A-Z]+ )?PRIVATE KEY") == []


def test_nothing_is_left_unfinished() -> None:
    words = "|".join(("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"))
    assert holding(rf"\b(?:{words})\b") == []


def test_no_large_or_binary_files() -> None:
    assert [path for path in EVERYTHING if not text(path) and path.endswith((".py", ".md"))] == [
        path for path in EVERYTHING if path.endswith("__init__.py") and not text(path)
    ]
    assert [path for path in EVERYTHING if len(text(path)) > LARGEST] == []


def test_each_ignored_check_says_which_and_why() -> None:
    ignored = re.compile(r"#\s*(?:noqa|type: ignore).*")
    reason = re.compile(r"(?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])\s+(?:#|-|–)?\s*\w")
    found = [
        (path, match[0])
        for path in EVERYTHING
        if path.endswith(".py")
        for match in ignored.finditer(text(path))
    ]
    assert [where for where in found if not reason.search(where[1])] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_generated_documents_are_current(name: str) -> None:
    assert text(name) == DOCUMENTS[name](), "run make docs"
