"""Requirements are pinned with hashes, name no registry, and say why they are there."""

import itertools
import re

import pytest

from tests.repository.tree import text, tracked

PINNED = tracked("requirements/*.txt")
WANTED = tracked("requirements/*.in")
# Each pinned requirement: a name, an exact version, perhaps a marker, and at least one hash.
REQUIREMENT = re.compile(r"^[a-z0-9._-]+(\[[a-z,]+\])?==\S+( ; [^\\]+)? \\$", re.IGNORECASE)
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def test_each_list_is_pinned() -> None:
    assert [path.removesuffix(".in") for path in WANTED] == [
        path.removesuffix(".txt") for path in PINNED
    ]


@pytest.mark.parametrize("path", PINNED)
def test_pins_carry_hashes_and_no_addresses(path: str) -> None:
    lines = [line for line in text(path).splitlines() if not line.lstrip().startswith("#")]
    odd = [line for line in lines if not REQUIREMENT.match(line) and not HASH.match(line)]
    assert odd == []
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links", text(path))


@pytest.mark.parametrize("path", PINNED)
def test_no_requirement_is_without_a_hash(path: str) -> None:
    lines = text(path).splitlines()
    bare = [a for a, b in itertools.pairwise(lines) if "==" in a and "--hash" not in b]
    assert bare == []


@pytest.mark.parametrize("path", WANTED)
def test_each_wanted_line_says_why(path: str) -> None:
    lines = [line for line in text(path).splitlines() if line and not line.startswith(("#", "-r "))]
    assert [line for line in lines if not re.search(r"\s# \S", line)] == []


def test_what_runs_is_what_is_tested() -> None:
    base, development = (
        dict(re.findall(r"^(\S+?)==(\S+)", text(f"requirements/{name}.txt"), re.MULTILINE))
        for name in ("base", "development")
    )
    assert {name: development.get(name) for name in base} == base
