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


def test_points_at_nul_bytes() -> None:
    body = b'{"a": ["x", "\\u0000"], "b/c": {"d": "e\\u0000"}}'
    with pytest.raises(InvalidFieldsError) as refused:
        StrictJSONParser().parse(io.BytesIO(body))
    assert [error.pointer for error in refused.value.errors] == ["/a/1", "/b~1c/d"]
