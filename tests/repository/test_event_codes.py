"""The security log: whatever code the source records, people can read what it means."""

import ast
from collections.abc import Iterator

from accounts.services.describe_event import DESCRIPTIONS
from tests.repository.tree import text, tracked

RECORDERS = {"record_event", "record_reconciliation", "count_refusal", "SecurityEvent"}
APPS = ("accounts/", "authproject/", "batchtokens/")


def recorded(source: str) -> Iterator[str]:
    """Yield the codes that calls in this source record, where they are written out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and name_of(node.func) in RECORDERS:
            values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            yield from (text for value in values for text in texts_in(value))


def name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def texts_in(value: ast.expr) -> Iterator[str]:
    """Yield the strings that an expression may be, its conditions left out."""
    match value:
        case ast.Constant(value=str() as found):
            yield found
        case ast.IfExp(body=body, orelse=other):
            yield from texts_in(body)
            yield from texts_in(other)


def test_finds_codes_in_a_source() -> None:
    source = 'record_event(code="a" if b == "c" else "d")\nx.count_refusal(reason="e", code="f")'
    assert list(recorded(source)) == ["a", "d", "f"]


def test_each_code_has_a_description() -> None:
    paths = [path for path in tracked() if path.startswith(APPS) and path.endswith(".py")]
    codes = {code for path in paths for code in recorded(text(path))}

    assert len(codes) > 15
    assert sorted(codes - DESCRIPTIONS.keys()) == []


def test_each_description_is_one_sentence() -> None:
    for sentence in DESCRIPTIONS.values():
        assert sentence[0].isupper()
        assert sentence.count(".") == 1
        assert sentence.endswith(".")
