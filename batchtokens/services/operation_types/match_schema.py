"""Tell fast that an operation is plainly what its type's schema asks for.

Yes is certain; no only means that jsonschema must decide, and say what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Match = Callable[[object], bool]


def compile_match(schema: Mapping[str, Any]) -> Match:
    """Return a function that says yes only where jsonschema finds no error."""
    texts = [schema["const"]] if "const" in schema else schema.get("enum")
    match schema.get("type", "string" if texts else None):
        case "string":
            return _string(schema, texts)
        case "object" if texts is None:
            return _object(schema)
        case "array" if texts is None and not schema.get("uniqueItems") and "items" in schema:
            return _array(schema)
        case "boolean" if texts is None:
            return lambda value: isinstance(value, bool)
    return lambda _: False


def _string(schema: Mapping[str, Any], texts: list[Any] | None) -> Match:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    search = re.compile(schema.get("pattern", "")).search

    def matches(value: object) -> bool:
        return (
            isinstance(value, str)
            and (texts is None or value in texts)
            and least <= len(value)
            and (most is None or len(value) <= most)
            and search(value) is not None
        )

    return matches


def _object(schema: Mapping[str, Any]) -> Match:
    members = {name: compile_match(each) for name, each in schema.get("properties", {}).items()}
    required = frozenset(schema.get("required", ()))

    def matches(value: object) -> bool:
        return (
            isinstance(value, dict)
            and required <= value.keys() <= members.keys()
            and all(members[name](member) for name, member in value.items())
        )

    return matches


def _array(schema: Mapping[str, Any]) -> Match:
    item = compile_match(schema["items"])
    least, most = schema.get("minItems", 0), schema.get("maxItems")

    def matches(value: object) -> bool:
        return (
            isinstance(value, list)
            and least <= len(value)
            and (most is None or len(value) <= most)
            and all(item(each) for each in value)
        )

    return matches
