"""Newline-delimited JSON, in and out: bounded before anything of it is parsed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from accounts.api.headers import check_not_encoded
from batchtokens.errors import BatchTooLarge

MEDIA_TYPE = "application/x-ndjson"
MAX_LINES = 5000
MAX_BYTES = 16 * 2**20

_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_line(item: Mapping[str, Any]) -> bytes:
    """Return an item as a line, with its end."""
    return f"{_write(item)}\n".encode()


class NdjsonParser(BaseParser):
    """Hands over the lines that are not blank, each as bytes with its number from 1."""

    media_type = MEDIA_TYPE

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the lines. Raises BatchTooLarge, ParseError or UnsupportedMediaType."""
        if parser_context is None:
            raise ValueError("a batch is read from its request")
        body = _read(stream, parser_context["request"])
        *lines, rest = body.split(b"\n", MAX_LINES)
        if len(lines) == MAX_LINES and rest.strip():
            raise BatchTooLarge(f"At most {MAX_LINES} lines.")
        numbered = enumerate([*lines, rest], start=1)
        return [(number, line) for number, line in numbered if line.strip()]


def _read(stream: IO[bytes], request: Request) -> bytes:
    """Return the whole body: of one that was cut off, the lines that arrived are not obeyed."""
    check_not_encoded(request)
    length = int(request.META["CONTENT_LENGTH"])  # without one there is no stream
    if length > MAX_BYTES:
        raise BatchTooLarge(f"At most {MAX_BYTES} bytes.")
    body = stream.read(length)
    if len(body) < length:
        raise ParseError("The body is shorter than its Content-Length.")
    return body


class NdjsonRenderer(BaseRenderer):
    """Puts written lines together."""

    media_type = MEDIA_TYPE
    format = "ndjson"
    charset = None

    def render(
        self,
        data: Iterable[bytes],
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the lines as one body."""
        return b"".join(data)
