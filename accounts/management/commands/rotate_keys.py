"""Publish the next signing keys."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from accounts.management.named import operator
from accounts.services.rotate_signing_keys import rotate_signing_keys
from accounts.tokens.keyring import shortest_overlap
from batchtokens_verifier.jws import Purpose

LONGEST_OVERLAP = 366 * 86_400  # seconds


class Command(ProductCommand):
    """The new keys are published now and sign after the overlap; the old ones retire then."""

    help = "Make the next signing key of each purpose, or of some."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare when and which."""
        begin = parser.add_mutually_exclusive_group()
        begin.add_argument(
            "--overlap",
            type=int,
            help="seconds until the new keys sign (KEY_PUBLISH_AHEAD); longer than anybody keeps"
            " the key set",
        )
        begin.add_argument(
            "--now",
            action="store_true",
            help="sign with them at once, for emergencies and tests: verifiers that have not yet"
            " seen the new keys refuse their tokens",
        )
        parser.add_argument(
            "--purpose",
            nargs="+",
            action="extend",
            choices=[purpose.value for purpose in Purpose],
            help="default: all",
        )

    def handle(self, *args: Any, purpose: list[str] | None, **options: Any) -> None:
        """Make the keys and print them."""
        keys = rotate_signing_keys(
            overlap=timedelta(0) if options["now"] else _overlap(options["overlap"]),
            purposes=[Purpose(p) for p in dict.fromkeys(purpose or Purpose)],
            actor=operator(),
        )
        self.emit(
            [
                {"id": key.kid, "purpose": key.purpose, "activates_at": key.activates_at}
                for key in keys
            ]
        )


def _overlap(seconds: int | None) -> timedelta:
    """Return the overlap.

    Raises UsageError for one in which somebody could miss the new keys.
    """
    shortest = int(shortest_overlap().total_seconds())
    if seconds is None:
        seconds = max(shortest, int(settings.KEY_PUBLISH_AHEAD.total_seconds()))
    if not shortest <= seconds <= LONGEST_OVERLAP:
        raise UsageError(
            f"--overlap takes {shortest} seconds (so long may the old key set be kept) to a year."
            " In an emergency say --now instead."
        )
    return timedelta(seconds=seconds)
