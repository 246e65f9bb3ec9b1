"""Newline-delimited JSON, in and out: bounded before anything of it is parsed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from batchtokens.errors import BatchTooLarge

MEDIA_TYPE = "application/x-ndjson"
MAX_LINES = 5000
MAX_BYTES = 16 * 2**20

_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class NdjsonParser(BaseParser):
    """Hands over the lines that are not blank, each as bytes with its number from 1."""

    media_type = MEDIA_TYPE

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the lines. Raises BatchTooLarge."""
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BatchTooLarge(f"At most {MAX_BYTES} bytes.")
        numbered = enumerate(body.split(b"\n"), start=1)
        lines = [(number, line) for number, line in numbered if line.strip()]
        if len(lines) > MAX_LINES:
            raise BatchTooLarge(f"At most {MAX_LINES} lines.")
        return lines


class NdjsonRenderer(BaseRenderer):
    """Writes each item on a line of its own."""

    media_type = MEDIA_TYPE
    format = "ndjson"
    charset = None

    def render(
        self,
        data: Iterable[Mapping[str, Any]],
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the lines, each with its end."""
        return "".join(f"{_write(item)}\n" for item in data).encode()
