"""Read the lines of a bulk issue: one mandate each, as strictly as any request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from batchtokens.models.operation_types import TYPE_NAME
from batchtokens.services.digests import text_digest
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

MAX_LINE_BYTES = 65536
MAX_TEXT = 200
_REQUIRED = frozenset({"user", "type", "operation", "constraints"})
_TEXTS = frozenset({"user", "type", "client", "consent_id", "reference"})
_MEMBERS = _REQUIRED | _TEXTS


@dataclass(frozen=True)
class NumberedText:
    """One line as it stands in the file, counted from 1; `text` of a longer one is cut off."""

    number: int
    text: bytes


@dataclass(frozen=True)
class BulkLine:
    """One mandate to issue.

    user: a username or a usr_ id. client: the trigger's name, "" for the built-in one.
    reference: the line's own key; the same one again issues nothing.
    """

    number: int
    user: str
    type: str
    operation: Mapping[str, Any]
    constraints: Mapping[str, Any]
    client: str = ""
    consent_id: str | None = None
    reference: str = ""

    @property
    def key_digest(self) -> str | None:
        """Return the idempotency digest; no name of a client or person has a NUL in it."""
        return text_digest(f"\0operations issue\0{self.reference}") if self.reference else None

    def request_digest(self, *, sub: str) -> str:
        """Return what a line of the same reference must repeat; a person has several names."""
        body = [sub, self.type, self.client, self.operation, self.constraints, self.consent_id]
        return text_digest(json.dumps(body, sort_keys=True))


def numbered_lines(file: IO[bytes]) -> Iterator[NumberedText]:
    """Yield the lines that are not blank; no line takes more memory than the longest good one."""
    number = 0
    while text := file.readline(MAX_LINE_BYTES + 2):
        number += 1
        part = text
        while part and not part.endswith(b"\n"):
            part = file.readline(MAX_LINE_BYTES)
        if stripped := text.strip(b" \t\r\n"):
            yield NumberedText(number, stripped)


def read_line(line: NumberedText) -> BulkLine:
    """Read one line.

    Raises InvalidOperation for what is no strict JSON, InvalidFieldsError for wrong members.
    """
    value = parse_json(line.text, max_bytes=MAX_LINE_BYTES)
    if not isinstance(value, dict):
        raise InvalidFieldsError([FieldError("", "invalid", "A line is a JSON object.")])
    if errors := [*_member_errors(value)]:
        raise InvalidFieldsError(errors)
    return BulkLine(line.number, **value)


def _member_errors(value: Mapping[str, Any]) -> Iterator[FieldError]:
    if not value.keys() <= _MEMBERS:  # its name may be what somebody meant as a value
        yield FieldError("", "unknown", "An unknown member is here.")
    for name in sorted(_REQUIRED - value.keys()):
        yield FieldError(f"/{name}", "required", "It is missing.")
    for name in _TEXTS & value.keys():
        if not _is_text(value[name]):
            yield FieldError(f"/{name}", "invalid", f"1 to {MAX_TEXT} visible characters.")
    if _is_text(value.get("type")) and not TYPE_NAME.fullmatch(value["type"]):
        yield FieldError("/type", "invalid", "It is not the name of a type.")
    for name in ("operation", "constraints"):
        if name in value and not isinstance(value[name], dict):
            yield FieldError(f"/{name}", "invalid", "A JSON object.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()
