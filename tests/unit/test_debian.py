"""A program that is missing fails the test, with the sentence that mends it."""

import pytest

from tests import debian


def test_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(AssertionError, match="no-such-tool is missing: apt-get install tools"):
        debian.need("no-such-tool", package="tools")


def test_finds_what_is_there() -> None:
    assert debian.need("sh", package="dash").endswith("/sh")


def test_shows_why_a_program_failed() -> None:
    with pytest.raises(AssertionError, match="nothing here"):
        debian.run("sh", "-c", "echo nothing here >&2; exit 1")
