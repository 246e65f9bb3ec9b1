"""Flatten DRF's nested field errors into JSON pointers (RFC 6901)."""

from collections.abc import Iterator
from typing import Any

from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings

from batchtokens_verifier.errors import FieldError


def field_errors(detail: Any) -> list[FieldError]:
    """Return one error for each message in a serializer's `errors`, in its order."""
    return list(_walk(detail, ""))


def _walk(detail: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _walk(inner, pointer if whole else f"{pointer}/{escape(str(name))}")
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            # Messages about one value stand in a list; errors of a list's members are dicts.
            member = isinstance(inner, dict | list)
            yield from _walk(inner, f"{pointer}/{index}" if member else pointer)
    else:
        code = (isinstance(detail, ErrorDetail) and detail.code) or "invalid"
        yield FieldError(pointer, code, str(detail))


def escape(name: str) -> str:
    """Return a member's name as a part of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")
