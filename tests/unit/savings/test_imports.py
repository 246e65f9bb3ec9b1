"""The example stands alone: the standard library, httpx and the verifier are all it imports."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import examples.savings

ALLOWED = {"httpx", "batchtokens_verifier"}
MODULES = sorted(Path(examples.savings.__path__[0]).glob("**/*.py"))


def imported_modules(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""


def is_allowed(module: str) -> bool:
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names | ALLOWED or module.startswith("examples.savings")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_imports_only_the_standard_library_httpx_and_the_verifier(module: Path) -> None:
    assert [name for name in imported_modules(module.read_text()) if not is_allowed(name)] == []


def test_looks_at_the_modules_that_matter() -> None:
    names = {module.stem for module in MODULES}
    assert names >= {"gateway", "trigger", "executor", "bank", "web", "__main__"}


@pytest.mark.parametrize(
    "line", ["import django.conf", "from accounts import ids", "import examples"]
)
def test_would_see_another_import(line: str) -> None:
    assert not all(is_allowed(name) for name in imported_modules(line))
