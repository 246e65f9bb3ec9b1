"""Read JSON bodies strictly: what two readers could understand differently is refused."""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from authproject.web.pointers import escape
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import FieldError, InvalidFieldsError, InvalidOperation

FORM = "application/x-www-form-urlencoded"
MAX_BYTES = 65_536


class StrictJSONParser(BaseParser):
    """Refuse duplicate members, NaN, depth bombs, oversized bodies, lone surrogates and NULs."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body's value. Raises InvalidFieldsError."""
        body = stream.read(MAX_BYTES + 1)
        try:
            value = parse_json(body, max_bytes=MAX_BYTES)
        except InvalidOperation as error:
            raise InvalidFieldsError([FieldError("", "invalid", str(error))]) from error
        if b"\\u0000" in body:
            _refuse_nuls(value)
        return value


def _refuse_nuls(value: Any) -> None:
    """Refuse strings and names with a NUL: PostgreSQL stores it nowhere."""
    found = [FieldError(pointer, "nul", "NUL is not allowed.") for pointer in _nuls(value, "")]
    if found:
        raise InvalidFieldsError(found)


def _nuls(value: Any, pointer: str) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield pointer
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nuls(inner, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for name, inner in value.items():
            if "\0" in name:
                yield pointer
            yield from _nuls(inner, f"{pointer}/{escape(name)}")
