"""The targets: each has a line of help, and the README names them all."""

import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from tests.repository.tree import text

TARGETS = re.findall(r"^([a-z-]+):.*## \S", text("Makefile"), re.MULTILINE)
PHONY = re.findall(r"^\.PHONY: (\S+)", text("Makefile"), re.MULTILINE)


def test_each_target_has_a_line_of_help() -> None:
    assert TARGETS == PHONY


def test_make_alone_lists_the_targets() -> None:
    command = ["make", "--no-print-directory"]
    listed = subprocess.check_output(command, cwd=settings.BASE_DIR, text=True)
    assert [line.split()[0] for line in listed.splitlines()] == TARGETS


def test_the_readme_names_the_targets() -> None:
    readme = text("README.md")
    assert [name for name in TARGETS if f"make {name}" not in readme] == []


STAMPS = (".made", ".runtime-installed", ".development-installed")


def planned(folder: Path, python: str) -> str:
    """Return what `make install` would do where .venv is finished and has this Python."""
    (folder / "Makefile").write_text(text("Makefile"))
    (folder / "requirements").mkdir()
    for name in ("base", "development"):
        (folder / "requirements" / f"{name}.txt").touch()
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    if python:
        program.write_text(f"#!/bin/sh\n{python}\n")
        program.chmod(0o755)
    for stamp in STAMPS:
        (folder / ".venv" / stamp).touch()
    return subprocess.check_output(["make", "-n", "install"], cwd=folder, text=True)


def test_a_finished_environment_stays(tmp_path: Path) -> None:
    assert "venv --clear" not in planned(tmp_path, "echo True")


@pytest.mark.parametrize("python", ["", "exit 127", "echo False"], ids=["gone", "broken", "old"])
def test_an_environment_that_lost_its_python_is_made_anew(tmp_path: Path, python: str) -> None:
    assert "venv --clear" in planned(tmp_path, python)


def test_ci_calls_the_readmes_test_command() -> None:
    assert "\nmake test\n" in text(".ci/run")
