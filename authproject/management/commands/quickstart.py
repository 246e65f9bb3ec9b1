"""The first run: prepare this installation, start it, and show the main job."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import CommandParser

from accounts.management.base import Exit, ProductCommand, UsageError
from authproject.quickstart.first_run import Wishes, prepare, run
from authproject.quickstart.output import Output
from authproject.quickstart.preparation import DEFAULT_EMAIL


class Command(ProductCommand):
    """Prepare, start and show; what a former run did is kept."""

    help = "Prepare this installation, start it and, in development, show the main job."

    def add_options(self, parser: CommandParser) -> None:
        """Declare what to leave out, and how to print."""
        parser.add_argument(
            "--demo",
            action=argparse.BooleanOptionalAction,
            default=settings.DEVELOPMENT,
            help="demo data, the savings example and the main job (development only)",
        )
        parser.add_argument("--email", default="", help="of the administrator, if there is none")
        parser.add_argument("--port", type=int, default=settings.PORT, help="of the web server")
        parser.add_argument("--no-input", action="store_true", help="never ask")
        parser.add_argument("--no-serve", action="store_true", help="prepare, then end")
        parser.add_argument("--format", choices=("table", "json"), default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked for; with --format json stdout gets one object, stderr the lines."""
        use_port(options["port"])
        wishes = Wishes(
            demo=options["demo"],
            serve=not options["no_serve"],
            port=options["port"],
            email=options["email"] or self.ask_email(may_ask=not options["no_input"]),
        )
        if wishes.demo and not settings.DEVELOPMENT:
            raise UsageError("--demo is for development: its people have known passwords.")
        output = Output(self.say if self.output_format == "json" else self.tell)
        installation = prepare(wishes, output)
        if self.output_format == "json":
            self.emit_one(installation.as_json())
            self.stdout.flush()
        if wishes.serve:
            with ended_by_signals():
                run(installation, wishes, output)

    def ask_email(self, *, may_ask: bool) -> str:
        """Ask for the administrator's address, but nobody who just tries the thing out."""
        if settings.DEVELOPMENT or not may_ask or not sys.stdin.isatty():
            return DEFAULT_EMAIL
        return input(f"E-mail address of the administrator [{DEFAULT_EMAIL}]: ") or DEFAULT_EMAIL

    def tell(self, line: str) -> None:
        """Print a line at once, into a pipe, too."""
        self.stdout.write(line)
        self.stdout.flush()


def use_port(port: int) -> None:
    """Begin again with PORT set where it is not: addresses follow from it in the settings."""
    if not 0 < port < 65536:
        raise UsageError("--port must be between 1 and 65535.")
    if port == settings.PORT:
        return
    if os.environ.get("PORT") == str(port):
        raise UsageError("--port and PORT_FILE name different ports.")
    os.environ["PORT"] = str(port)
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very command line


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM (exit 0) and SIGINT (exit 130) unwind the stack, so that everything is stopped.

    SIGINT, too: a shell that starts this in the background has it ignored.
    """
    handlers = {
        signal.SIGTERM: lambda *_: sys.exit(Exit.OK),
        signal.SIGINT: signal.default_int_handler,
    }
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
