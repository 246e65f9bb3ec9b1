"""The targets: each has a line of help, and the README names them all."""

import re
import subprocess

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


def test_ci_calls_the_readmes_test_command() -> None:
    assert "\nmake test\n" in text(".ci/run")
