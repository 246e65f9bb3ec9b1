"""Modules and functions stay short enough to be read at one sitting."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

MODULE_LINES = 300
FUNCTION_LINES = 40


def python_files() -> list[Path]:
    names = subprocess.check_output(["git", "ls-files", "*.py"], cwd=settings.BASE_DIR, text=True)
    return [settings.BASE_DIR / name for name in names.split() if "/migrations/" not in name]


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_modules_have_at_most_300_lines() -> None:
    long = {
        path.name: lines
        for path in python_files()
        if path.exists() and (lines := len(path.read_text().splitlines())) > MODULE_LINES
    }
    assert long == {}


def test_functions_have_at_most_40_lines() -> None:
    long = [
        f"{path.name}:{function.name}"
        for path in python_files()
        if path.exists()
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    ]
    assert long == []
