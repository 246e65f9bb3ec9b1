"""Everything that an executor's developer may import says what it does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import batchtokens_verifier
from batchtokens_verifier.errors import ProblemError

ROOT = Path(batchtokens_verifier.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def undocumented(body: list[ast.stmt], within: str = "") -> Iterator[str]:
    for node in body:
        if not isinstance(node, DEFINITIONS) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and "title = " not in ast.unparse(
            node
        ):  # an error's says it
            yield within + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{node.name}.")


@pytest.mark.parametrize("module", MODULES)
def test_public_names_have_docstrings(module: str) -> None:
    tree = ast.parse((ROOT / module).read_text("utf-8"))

    assert ast.get_docstring(tree)
    assert list(undocumented(tree.body)) == []


def errors(root: type[ProblemError] = ProblemError) -> Iterator[type[ProblemError]]:
    for error in root.__subclasses__():
        own = error.__module__.startswith("batchtokens_verifier.")
        if own and not error.__name__.startswith("_"):
            yield error
            yield from errors(error)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in errors()]

    assert len(set(codes)) == len(codes)
    assert all(400 <= error.status < 600 for error in errors())
