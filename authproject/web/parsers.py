"""Read JSON bodies strictly: what two readers could understand differently is refused."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from accounts.api.headers import check_not_encoded
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
        """Return the body's value. Raises InvalidFieldsError, UnsupportedMediaType."""
        if parser_context is not None:
            check_not_encoded(parser_context["request"])
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
    if _has_nul(value):  # where, it does not say: the names on the way may be anything
        raise InvalidFieldsError([FieldError("", "nul", "NUL is not allowed.")])


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_has_nul, value)) or any(map(_has_nul, value.values()))
    return isinstance(value, list) and any(map(_has_nul, value))
