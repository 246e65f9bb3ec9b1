"""The strict JSON parser."""

import io

import pytest

from authproject.web.parsers import MAX_BYTES, StrictJSONParser
from batchtokens_verifier.errors import InvalidFieldsError


def test_reads_json() -> None:
    assert StrictJSONParser().parse(io.BytesIO(b'{"a": [1, null, "\xc3\xa9"]}')) == {
        "a": [1, None, "é"]
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"[" * 20_000,
        b"[" * 1000 + b"]" * 1000,
        b'"' + b"x" * MAX_BYTES + b'"',
        b"1" * 10_000,
    ],
)
def test_refuses_what_two_readers_could_understand_differently(body: bytes) -> None:
    with pytest.raises(InvalidFieldsError) as refused:
        StrictJSONParser().parse(io.BytesIO(body))
    assert [error.pointer for error in refused.value.errors] == [""]


@pytest.mark.parametrize(
    "body", [b'{"a": ["x", "\\u0000"]}', b'{"b": {"d": "e\\u0000"}}', b'[{"hunter2\\u0000": 1}]']
)
def test_refuses_nul_bytes_and_repeats_no_name(body: bytes) -> None:
    with pytest.raises(InvalidFieldsError) as refused:
        StrictJSONParser().parse(io.BytesIO(body))
    assert [(error.pointer, error.code) for error in refused.value.errors] == [("", "nul")]
