"""What all commands share: exit codes, output formats, and one sentence for each failure.

Data goes to stdout, messages to stderr. No command prints a stored secret.
"""

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.management.base import handle_default_options
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, ProgrammingError, connections
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchtokens_verifier.errors import ProblemError

Row = Mapping[str, Any]
FORMATS = ("table", "json", "ndjson", "csv")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Exit(IntEnum):
    """How a command ends."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOTHING_MATCHED = 3
    REFUSED = 4
    PARTIAL = 5
    FINDINGS = 6
    INTERRUPTED = 130


class Stop(CommandError):
    """End the command with this sentence and an exit code other than 0."""

    code = Exit.ERROR

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, returncode=self.code)


class UsageError(Stop):
    code = Exit.USAGE


class NothingMatched(Stop):
    code = Exit.NOTHING_MATCHED


class Refused(Stop):
    code = Exit.REFUSED


class PartialFailure(Stop):
    code = Exit.PARTIAL


class Findings(Stop):
    """A check found problems."""

    code = Exit.FINDINGS


def add_shared_options(parser: CommandParser, *, lists: bool, destructive: bool) -> None:
    """Declare what all commands that list, or that change something for good, have in common."""
    if lists:
        parser.add_argument(
            "--format", choices=FORMATS, help="default: table on a terminal, json when piped"
        )
        parser.add_argument("--quiet", action="store_true", help="print ids only")
    if destructive:
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--reason", default="", help="kept in the audit trail")


class ProductCommand(BaseCommand):
    """Base of all commands: subclasses write `add_options` and `handle`.

    `lists = True` adds --format and --quiet; `destructive = True` adds --dry-run, --yes, --reason.
    """

    lists = False
    destructive = False
    output_format = "json"
    quiet = False

    def add_options(self, parser: CommandParser) -> None:
        """Declare the command's own options."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the shared options, then the command's own."""
        add_shared_options(parser, lists=self.lists, destructive=self.destructive)
        self.add_options(parser)

    def documented(self) -> Iterator[tuple[str, str]]:
        """Yield what the list of commands shows: a name's end, for verbs, and a line of help."""
        yield "", self.help

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser whose errors are raised, so that they end as one sentence."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.called_from_command_line = False
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process: every failure ends in one sentence on stderr and its exit code."""
        try:
            sys.exit(self._run(argv))
        finally:
            connections.close_all()

    def _run(self, argv: list[str]) -> int:
        if not _is_text(argv):
            self.say("An argument is not UTF-8 text.")
            return Exit.USAGE
        try:
            options = self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except CommandError as error:
            self.say(str(error).removeprefix("Error: "))
            return Exit.USAGE
        handle_default_options(options)
        try:
            self.execute(**vars(options))
        except CommandError as error:
            if options.traceback:
                raise
            self.say(str(error))
            return error.returncode
        except KeyboardInterrupt:
            self.say("Interrupted.")
            return Exit.INTERRUPTED
        return Exit.OK

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run `handle`; what the product refuses and a database that is away become sentences."""
        self.quiet = bool(options.get("quiet"))
        self.output_format = options.get("format") or ("table" if sys.stdout.isatty() else "json")
        try:
            return super().execute(*args, **options)
        except ProblemError as error:
            raise Refused(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            raise Stop(_database_sentence(error)) from error

    def say(self, message: str) -> None:
        """Tell the person at the terminal; never data."""
        self.stderr.write(message, style_func=str)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before a dangerous act; without a terminal, --yes must have been given."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{question} Say --yes to go on without being asked.")
        self.stderr.write(f"{question} [y/N] ", style_func=str, ending="")
        self.stderr.flush()
        # At the end of what is typed (Ctrl-D) nobody has said yes.
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Refused("Nothing was changed.")

    def emit(self, rows: Sequence[Row]) -> None:
        """Print a list in the chosen format, or only its ids with --quiet."""
        if self.quiet:
            self._print("\n".join(str(row["id"]) for row in rows))
        elif self.output_format == "json":
            self._print(_json(list(rows), indent=2))
        else:
            self._emit_lines(rows)

    def emit_one(self, row: Row) -> None:
        """Print one thing: as an object in JSON, else as a list of one."""
        if self.output_format == "json" and not self.quiet:
            self._print(_json(row, indent=2))
        else:
            self.emit([row])

    def _emit_lines(self, rows: Sequence[Row]) -> None:
        match self.output_format:
            case "ndjson":
                self._print("\n".join(_json(row) for row in rows))
            case "csv":
                self._print(_csv(rows))
            case _:
                self._print(_table(rows))

    def _print(self, text: str) -> None:
        if text:
            self.stdout.write(text)


def _is_text(argv: Sequence[str]) -> bool:
    """Say whether all was UTF-8: Python keeps other bytes as halves of characters (PEP 383)."""
    try:
        "".join(argv).encode()
    except UnicodeEncodeError:
        return False
    return True


def _database_sentence(error: DatabaseError | InterfaceError) -> str:
    """Say what is wrong; SQLite and PostgreSQL have different errors for a missing table."""
    cause = str(error).strip().partition("\n")[0]
    if isinstance(error, ProgrammingError) or cause.startswith("no such "):
        return f"The database is not up to date ({cause}): run manage.py migrate."
    return f"The database cannot be used: {cause}."


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=indent)


def formula_safe(cell: Any) -> Any:
    """Return a CSV cell that no spreadsheet takes for a formula (OWASP, "CSV injection")."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: formula_safe(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue().rstrip("\n")


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing to list."
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        # An id is there to be copied: whatever else is cut short, it is not.
        whole = max(len(str(row[name])) for row in rows) if name == "id" else None
        table.add_column(name.replace("_", " "), min_width=whole)
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    width = shutil.get_terminal_size(fallback=(160, 24)).columns
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")
