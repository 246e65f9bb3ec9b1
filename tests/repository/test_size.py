"""Modules and functions stay short enough to be read at one sitting."""

import ast
from collections.abc import Iterator

from tests.repository.tree import text, tracked

MODULE_LINES = 300
FUNCTION_LINES = 40

PYTHON = [path for path in tracked("*.py") if "/migrations/" not in path]


def functions(path: str) -> Iterator[ast.FunctionDef]:
    nodes = ast.walk(ast.parse(text(path)))
    return (node for node in nodes if isinstance(node, ast.FunctionDef))


def length(function: ast.FunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_modules_have_at_most_300_lines() -> None:
    lengths = {path: len(text(path).splitlines()) for path in PYTHON}
    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_functions_have_at_most_40_lines() -> None:
    found = [(path, function) for path in PYTHON for function in functions(path)]
    assert [f"{path}:{f.name}" for path, f in found if length(f) > FUNCTION_LINES] == []
