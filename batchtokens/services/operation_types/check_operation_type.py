"""Operation types' schemas and templates: closed, without numbers, every leaf in the sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator

from batchtokens.errors import OperationTypeNotValid
from batchtokens.services.operation_types.match_schema import compile_match
from batchtokens_verifier.errors import InvalidOperation, member_pointer

_PLACEHOLDER = re.compile(r"\{([a-z0-9_.]+)\}")
# Dots separate the names of a placeholder's path: one within a name would hide that member.
_MEMBER_NAME = re.compile(r"[a-z0-9_]+")
_AMOUNT_MEMBERS = frozenset({"amount", "currency"})
_LEAF_TYPES = frozenset({"string", "boolean"})
# What could bring in a leaf that no sentence shows (patternProperties, $ref, anyOf) is not here.
_KEYWORDS = frozenset(
    {
        "$schema",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "uniqueItems",
        "enum",
        "const",
        "pattern",
        "minLength",
        "maxLength",
    }
)
MOST_LEAVES = 50


def check_schema(schema: object) -> None:
    """Raise OperationTypeNotValid unless `schema` is a closed object schema without numbers."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise OperationTypeNotValid("The schema describes an object.", pointer="/schema")
    try:
        Draft202012Validator.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise OperationTypeNotValid(error.message, pointer="/schema") from error
    if "action" not in schema.get("required", []):
        raise OperationTypeNotValid("The operation needs an action.", pointer="/schema/required")
    shown = list(leaves(schema))
    _check_amount(schema)
    if len(shown) > MOST_LEAVES:
        raise OperationTypeNotValid(f"At most {MOST_LEAVES} leaves.", pointer="/schema")


def leaves(schema: object, path: str = "") -> Iterator[str]:
    """Yield the dotted path of each leaf; raises OperationTypeNotValid where the schema is open."""
    where = "/schema/" + path.replace(".", "/") if path else "/schema"
    if not isinstance(schema, Mapping) or not _KEYWORDS.issuperset(schema):
        raise OperationTypeNotValid(
            f"Only these keywords: {', '.join(sorted(_KEYWORDS))}.", pointer=where
        )
    kind = _kind(schema)
    if kind == "object":
        for name, member in _members(schema, where).items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif kind == "array":
        items: Any = schema.get("items")
        if list(leaves(items, path)) != [path] or _kind(items) == "array":
            raise OperationTypeNotValid("An array holds strings or booleans.", pointer=where)
        yield path
    elif kind in _LEAF_TYPES:
        yield path
    else:
        raise OperationTypeNotValid("Only objects, arrays, strings and booleans.", pointer=where)


def _members(schema: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the properties of a closed object, each of which a sentence can show."""
    members: Mapping[str, Any] = schema.get("properties", {})
    if schema.get("additionalProperties") is not False:
        raise OperationTypeNotValid("additionalProperties is not false.", pointer=where)
    if {"enum", "const"} & schema.keys():
        raise OperationTypeNotValid("An object is described by its members.", pointer=where)
    if not all(_MEMBER_NAME.fullmatch(name) for name in members):
        raise OperationTypeNotValid("Member names: a-z, 0-9 and _.", pointer=where)
    # An object that is there without a member would read like one that is not there.
    if members.keys().isdisjoint(schema.get("required", [])):
        raise OperationTypeNotValid("An object requires one of its members.", pointer=where)
    return members


def _check_amount(schema: Mapping[str, Any]) -> None:
    """The member `amount` is money wherever it is there: an amount and a currency, as strings."""
    if "amount" not in schema.get("properties", {}):
        return
    amount = schema["properties"]["amount"]
    members = amount.get("properties", {})
    texts = {name for name, member in members.items() if _kind(member) == "string"}
    if members.keys() != _AMOUNT_MEMBERS or texts != _AMOUNT_MEMBERS:
        raise OperationTypeNotValid(
            "It has amount and currency, both strings.", pointer="/schema/amount"
        )


def _kind(schema: Mapping[str, Any]) -> object:
    """Return the type, which a constant or an enumeration of strings need not name."""
    values = [schema["const"]] if "const" in schema else schema.get("enum", [0])
    texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
    kind = schema.get("type", "string" if texts else None)
    return kind if isinstance(kind, str) else None


def check_template(template: str, schema: Mapping[str, Any]) -> None:
    """Raise OperationTypeNotValid unless the template shows every leaf, and nothing else.

    A constant `action` is the type itself and need not be shown; an amount is shown as a whole.
    """
    shown = set(_PLACEHOLDER.findall(template))
    if set("{}") & set(_PLACEHOLDER.sub("", template)):
        raise OperationTypeNotValid("A brace that names no member.", pointer="/summary")
    properties = schema.get("properties", {})
    known = {leaf for leaf in leaves(schema) if not leaf.startswith("amount.")}
    known |= {"amount"} if "amount" in properties else set()
    needed = known - ({"action"} if "const" in properties.get("action", {}) else set())
    if missing := sorted(needed - shown):
        raise OperationTypeNotValid(
            f"The summary does not show: {', '.join(missing)}.", pointer="/summary"
        )
    if unknown := sorted(shown - known):
        raise OperationTypeNotValid(
            f"The summary names what the schema lacks: {', '.join(unknown)}.", pointer="/summary"
        )


class SchemaRules:
    """A stored type's schema, made ready for many operations."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.names = frozenset(name for leaf in leaves(schema) for name in leaf.split("."))
        self._plainly_fits = compile_match(schema)
        self._validator = _validator(json.dumps(schema, sort_keys=True))

    def check(self, operation: Mapping[str, Any]) -> None:
        """Raise InvalidOperation with the pointer of the first member that the schema refuses."""
        if self._plainly_fits(operation):
            return
        errors = self._validator.iter_errors(dict(operation))
        first = min(
            errors, key=lambda each: [str(step) for step in each.absolute_path], default=None
        )
        if first is not None:
            pointer = reduce(member_pointer, first.absolute_path, "")
            raise InvalidOperation(
                f"It does not match the operation type's schema ({first.validator}).",
                pointer=pointer,
            )


@lru_cache(maxsize=256)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))
