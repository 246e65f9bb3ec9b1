"""The fast match says yes only where jsonschema finds nothing, and yes to what is plainly right."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchtokens.services.operation_types.match_schema import compile_match
from tests import mandates

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["action"],
    "properties": {
        "action": {"const": "a.b"},
        "mode": {"enum": ["x", "y"]},
        "text": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]+$"},
        "flag": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "set": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "inner": {
            "type": "object",
            "additionalProperties": False,
            "required": ["leaf"],
            "properties": {"leaf": {"type": "boolean", "const": True}},
        },
    },
}
VALUES: dict[str, list[Any]] = {
    "action": ["a.b", "a.c", "", True],
    "mode": ["x", "z", ["x"], False],
    "text": ["ab", "abc", "a", "abcd", "AB", "ab\n", "", True],
    "flag": [True, False, "true", []],
    "list": [["a"], ["a", "b"], [], ["a", "b", "c"], [True], "a", {}],
    "set": [["a"], ["a", "a"], []],
    "inner": [{"leaf": True}, {"leaf": False}, {}, {"leaf": True, "x": "y"}, [], "leaf"],
    "unknown": ["x"],
}
OPERATIONS = [
    {"action": "a.b"} | {name: value} for name, values in VALUES.items() for value in values
]


@pytest.mark.parametrize("operation", [{}, [], "text", *OPERATIONS], ids=repr)
def test_yes_is_certain(operation: Any) -> None:
    valid = Draft202012Validator(SCHEMA).is_valid(operation)
    assert not compile_match(SCHEMA)(operation) or valid


@pytest.mark.parametrize("name", ["mode", "text", "flag", "list"])
def test_what_is_plainly_right_needs_no_second_look(name: str) -> None:
    assert compile_match(SCHEMA)({"action": "a.b", name: VALUES[name][0]})


def test_the_examples_own_operation_is_plain() -> None:
    assert compile_match(mandates.savings_definition()["schema"])(mandates.OPERATION)
