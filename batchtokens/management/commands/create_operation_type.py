"""Create an operation type from its definition file, or its next version."""

import sys
from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, Refused, UsageError
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import InvalidOperation, ProblemError


class Command(ProductCommand):
    """Create or update by name; the same definition again changes nothing."""

    help = "Create or update an operation type (a version that has issued stays as it is)."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the definition's file."""
        parser.add_argument("--file", required=True, help='JSON definition; "-" reads stdin')

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        """Store the definition; print the type's name and version."""
        definition = read_definition(file)
        try:
            kind = create_operation_type(definition=definition)
        except ProblemError as error:
            raise Refused(f"{error.pointer} {error}".strip()) from error
        self.emit_one({"id": kind.name, "name": kind.name, "version": kind.version})


def read_definition(file: str) -> dict[str, Any]:
    """Read a JSON object. Raises UsageError."""
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        definition = parse_json(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except InvalidOperation as error:
        raise UsageError(f"{file} is not strict JSON: {error}") from error
    if not isinstance(definition, dict):
        raise UsageError(f"{file} is not a JSON object.")
    return definition
