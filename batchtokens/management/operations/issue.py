"""`operations issue`: issue operation tokens for the mandates in a file, one a line."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

from django.core.management import CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.progress import Progress

from accounts.management.base import NothingMatched, PartialFailure, ProductCommand, UsageError
from batchtokens.management.new_file import DigestedFile, new_file
from batchtokens.management.operations.verb import Verb
from batchtokens.services.issuing.bulk_lines import numbered_lines
from batchtokens.services.issuing.issue_in_bulk import (
    BulkOutcome,
    BulkStatus,
    Destination,
    issue_in_bulk,
)
from batchtokens.services.ledger.check_ledger_head import check_ledger

NO_TOKEN = "token_not_kept"


class IssueOperations(Verb):
    """Tokens go into the queue or into a file for their triggers; none is ever printed."""

    name = "issue"
    help = "Issue operation tokens for the mandates in a file, one JSON object a line."

    def add_options(self, parser: CommandParser) -> None:
        """Declare the file, and where the tokens go."""
        parser.add_argument(
            "--from", dest="source", required=True, type=Path, metavar="FILE",
            help="NDJSON: user, type, operation, constraints, client, consent_id, reference",
        )  # fmt: skip
        parser.add_argument(
            "--out", type=Path, metavar="FILE", help="a new file, mode 0600, for triggers' tokens"
        )
        parser.add_argument("--queue", action="store_true", help="queue triggers' runs, too")
        parser.add_argument("--dry-run", action="store_true", help="check all, store nothing")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print what became of each line; exit 5 where not all are as they were asked for."""
        to = _destination(options)
        check_ledger()
        with _opened(options["source"]) as file, ExitStack() as stack:
            digest, size = _digest(file)
            out = stack.enter_context(new_file(options["out"])) if to.hand_out else None
            chunks = issue_in_bulk(numbered_lines(file), to=to, file_digest=digest)
            rows, failure = _gather(command, _shown(chunks, file, size), to, out)
        command.emit(rows)
        if failure is not None:
            raise failure
        _judge(rows)


def _destination(options: dict[str, Any]) -> Destination:
    """Read where the tokens go; the built-in trigger's are always queued."""
    hand_out = options["out"] is not None and not options["dry_run"]
    if not (options["queue"] or options["dry_run"] or hand_out):
        raise UsageError("Say where triggers' tokens go: --queue, or --out with a new file.")
    if options["queue"] and options["out"] is not None:
        raise UsageError("Either --queue or --out: a queued token is nobody's to hold.")
    return Destination(options["queue"], hand_out, options["dry_run"])


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def _digest(file: IO[bytes]) -> tuple[str, int]:
    """Return the file's SHA-256, as sha256sum shows it, and its size; it is read from its start."""
    try:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # raw
        size = file.tell()
        file.seek(0)
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read: {error.strerror}.") from None
    return digest, size


def _shown(
    chunks: Iterable[list[BulkOutcome]], file: IO[bytes], size: int
) -> Iterator[list[BulkOutcome]]:
    """Hand the chunks on, and show on a terminal how much of the file is read."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("Mandates", total=size)
        for outcomes in chunks:
            yield outcomes
            progress.update(task, completed=file.tell())


def _gather(
    command: ProductCommand,
    chunks: Iterable[list[BulkOutcome]],
    to: Destination,
    out: DigestedFile | None,
) -> tuple[list[dict[str, Any]], DatabaseError | None]:
    """Return a row for each line; with what ended it early, what was issued until then."""
    rows: list[dict[str, Any]] = []
    try:
        for outcome in chain.from_iterable(chunks):
            rows.append(_row(outcome, to))
            _tell(command, outcome)
            if out is not None:
                out.write(_handed_out(outcome))
    except DatabaseError as error:
        return rows, error
    return rows, None


def _row(outcome: BulkOutcome, to: Destination) -> dict[str, Any]:
    code = outcome.error.code if outcome.error else ""
    wanted = to.hand_out and outcome.client and outcome.status != BulkStatus.REFUSED
    return {
        "line": outcome.line,
        "id": outcome.id,
        "status": outcome.status.value,
        "code": NO_TOKEN if wanted and not outcome.token else code,
    }


def _tell(command: ProductCommand, outcome: BulkOutcome) -> None:
    if (error := outcome.error) is not None:
        fields = getattr(error, "errors", [])
        pointer = fields[0].pointer if fields else error.pointer
        detail = fields[0].detail if fields else error.detail or error.title
        where = f" {pointer}" if pointer else ""
        command.say(f"line {outcome.line}:{where} {error.code}: {detail}")


def _handed_out(outcome: BulkOutcome) -> bytes:
    """Return the file's line for one that has a token."""
    if not outcome.token:
        return b""
    told = {
        "line": outcome.line,
        "id": outcome.id,
        "client": outcome.client,
        "operation_token": outcome.token,
    }
    return json.dumps(told).encode() + b"\n"


def _judge(rows: list[dict[str, Any]]) -> None:
    if not rows:
        raise NothingMatched("There is no line in it.")
    if bad := sum(bool(row["code"]) for row in rows):
        raise PartialFailure(f"{bad} of {len(rows)} lines are not as they were asked for.")
