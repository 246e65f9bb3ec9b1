"""Make people up; in development also johndoe, whose password is `secret`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandParser
from rich.console import Console
from rich.progress import Progress

from accounts.management.base import ProductCommand, UsageError
from accounts.services.seed_users import SeedPlan, seed_demo_user, seed_users


def natural(text: str) -> int:
    """Read a whole number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number")
    return int(text)


def fraction(text: str) -> float:
    """Read a number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return share


class Command(ProductCommand):
    """The same seed makes the same people; those who are there already stay as they are."""

    help = "Make people up for demonstrations and load tests."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare how many, and how."""
        parser.add_argument("--count", type=natural, default=25, help="how many (25)")
        parser.add_argument("--seed", type=natural, default=1, help="which ones (1)")
        parser.add_argument("--staff", type=natural, default=0, help="how many are staff (0)")
        parser.add_argument("--password-file", help="their password; absent: none can sign in")
        parser.add_argument(
            "--totp-fraction",
            type=fraction,
            default=0.0,
            help="share that has an authenticator app, whose key follows from the name (0);"
            " refused in production",
        )
        parser.add_argument("--batch", type=natural, default=1000, help="rows a transaction (1000)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Store the people and print how many."""
        plan = SeedPlan(
            count=options["count"],
            seed=options["seed"],
            staff=options["staff"],
            password=read_password(options["password_file"]),
            batch=max(1, options["batch"]),
            totp_fraction=options["totp_fraction"],
        )
        demo = settings.ENVIRONMENT == "development" and seed_demo_user()
        made, there = self._seed(plan)
        self.emit_one(
            {
                "id": f"seed-{plan.seed}",
                "made": made + demo,
                "there_already": there,
                "johndoe": demo,
            }
        )

    def _seed(self, plan: SeedPlan) -> tuple[int, int]:
        made = there = 0
        console = Console(stderr=True)
        with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("People", total=plan.count)
            for new, old in seed_users(plan):
                made, there = made + new, there + old
                progress.advance(task, new + old)
        return made, there


def read_password(file: str | None) -> str | None:
    """Read the first line of a file, or of stdin for "-".

    Raises UsageError.
    """
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{file} cannot be read.") from error
    password = text.partition("\n")[0]
    if not password:
        raise UsageError(f"{file} is empty.")
    return password
