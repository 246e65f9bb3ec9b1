"""Canonical JSON, digests and the closed form of an operation."""

import json
from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchtokens_verifier.canonical import (
    b64url,
    b64url_decode,
    canonical_operation,
    canonicalize,
    parameter_digest,
    parse_json,
)
from batchtokens_verifier.errors import InvalidOperation
from tests.unit.verifier.vectors import cases, load

TEXT = st.text('aé\u20ac\ufb33😀\x00\x1f"\\/ ', max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("vector", cases("digest", "vectors"))
def test_digest_of_an_operation(vector: dict[str, Any]) -> None:
    operation, canonical = canonical_operation(vector["operation"])

    assert canonical == canonicalize(operation) == vector["canonical"].encode()
    assert parameter_digest(operation) == vector["digest"]


@pytest.mark.spec("RFC 8785", "3.2")
@pytest.mark.parametrize("vector", cases("canonical", "canonical"))
def test_canonical_form(vector: dict[str, Any]) -> None:
    assert canonicalize(vector["value"]).decode() == vector["canonical"]


@pytest.mark.parametrize("vector", cases("canonical", "refused_values"))
def test_no_canonical_form(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidOperation):
        canonicalize([vector["value"]])


@pytest.mark.parametrize("value", [{1: "a"}, object(), b"a", "\ud800", {"\udfff": "a"}, {"a"}])
def test_what_is_not_json_has_no_canonical_form(value: object) -> None:
    with pytest.raises(InvalidOperation):
        canonicalize(value)


@settings(max_examples=25)
@given(VALUES)
def test_canonical_form_is_a_fixed_point(value: Any) -> None:
    canonical = canonicalize(value)

    assert parse_json(canonical) == value
    assert canonicalize(json.loads(canonical)) == canonical


@settings(max_examples=25)
@given(st.dictionaries(TEXT, TEXT, max_size=6), st.randoms(use_true_random=False))
def test_order_of_members_does_not_matter(members: dict[str, str], random: Any) -> None:
    names = list(members)
    random.shuffle(names)

    assert canonicalize({name: members[name] for name in names}) == canonicalize(members)


@pytest.mark.parametrize("vector", cases("canonical", "operations"))
def test_operation_is_accepted_as_it_is(vector: dict[str, Any]) -> None:
    operation, canonical = canonical_operation(vector["value"])

    assert operation == vector["value"]
    assert canonical == canonicalize(vector["value"])


def refused_at(value: object, *, known: Collection[str] = ()) -> str | None:
    try:
        canonical_operation(value, known=known)
    except InvalidOperation as refusal:
        return refusal.pointer
    return None


def test_operations_are_refused_with_their_pointers() -> None:
    vectors, known = load("canonical")["refused"], load("canonical")["known"]
    expected = {vector["name"]: vector["pointer"] for vector in vectors}

    found = {vector["name"]: refused_at(vector["value"], known=known) for vector in vectors}
    assert found == expected


@pytest.mark.parametrize("vector", cases("canonical", "refused_where_names_are_unknown"))
def test_a_name_that_nobody_gave_it_is_not_repeated(vector: dict[str, Any]) -> None:
    assert refused_at(vector["value"]) == vector["pointer"]


@pytest.mark.parametrize(("size", "accepted"), [(4095, True), (4096, True), (4097, False)])
def test_operation_has_at_most_4_kib(size: int, accepted: bool) -> None:
    frame = len(canonicalize({"action": "a", "note": ""}))
    operation = {"action": "a", "note": "x" * (size - frame)}

    if accepted:
        assert len(canonical_operation(operation)[1]) == size
        return
    with pytest.raises(InvalidOperation):
        canonical_operation(operation)


def test_checked_operation_is_a_copy() -> None:
    payees = ["b"]
    checked, _ = canonical_operation({"action": "a", "payees": payees})

    payees.append("c")

    assert checked == {"action": "a", "payees": ["b"]}


@pytest.mark.parametrize("spell", [str, str.encode])
def test_lax_json_is_refused(spell: Callable[[str], str | bytes]) -> None:
    for vector in load("canonical")["refused_json"]:
        with pytest.raises(InvalidOperation):
            pytest.fail(f"{vector['name']}: {parse_json(spell(vector['text']))}")


@pytest.mark.parametrize(
    "data",
    [b'"\xff"', b'"\xed\xa0\x80"', '{"a":1}'.encode("utf-16"), b"[" * 60000, b'{"a":' * 9000],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidOperation):
        parse_json(data)


@pytest.mark.parametrize(("depth", "accepted"), [(31, True), (32, True), (33, False)])
def test_nesting_is_bounded(depth: int, accepted: bool) -> None:
    text = "[" * depth + "]" * depth

    if accepted:
        parse_json(text)
        return
    with pytest.raises(InvalidOperation):
        parse_json(text)


def test_many_brackets_are_not_depth() -> None:
    assert len(parse_json("[" + ",".join(["[{}]"] * 100) + "]")) == 100


@pytest.mark.parametrize(("size", "accepted"), [(9, True), (10, True), (11, False)])
def test_length_is_checked_first(size: int, accepted: bool) -> None:
    data = b'"' + b"a" * (size - 2) + b'"'

    if accepted:
        assert parse_json(data, max_bytes=10)
        return
    with pytest.raises(InvalidOperation):
        parse_json(data, max_bytes=10)


def test_surrogate_pairs_are_text() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "😀"


@settings(max_examples=20)
@given(st.binary(max_size=12))
def test_base64url_round_trip(data: bytes) -> None:
    assert b64url_decode(b64url(data)) == data


@pytest.mark.spec("RFC 4648", "3.5")
@pytest.mark.parametrize("text", ["A", "AB", "AAB", "AA==", "A A", "AA\n", "+/AA", "AAAAA", "é"])
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        b64url_decode(text)
