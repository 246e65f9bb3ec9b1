"""Publish the next signing keys."""

from datetime import timedelta
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from accounts.services.rotate_signing_keys import rotate_signing_keys
from batchtokens_verifier.jws import Purpose

LONGEST_OVERLAP = 366 * 86_400  # seconds


class Command(ProductCommand):
    """The new keys are published now and sign after the overlap; the old ones retire then."""

    help = "Make the next signing key of each purpose, or of some."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare when and which."""
        parser.add_argument(
            "--overlap",
            type=int,
            required=True,
            help="seconds until the new keys sign; longer than verifiers keep the key set",
        )
        parser.add_argument(
            "--purpose",
            nargs="+",
            action="extend",
            choices=[purpose.value for purpose in Purpose],
            help="default: all",
        )

    def handle(self, *args: Any, overlap: int, purpose: list[str] | None, **options: Any) -> None:
        """Make the keys and print them."""
        if not 0 <= overlap <= LONGEST_OVERLAP:
            raise UsageError("--overlap takes 0 seconds to a year.")
        keys = rotate_signing_keys(
            overlap=timedelta(seconds=overlap),
            purposes=[Purpose(p) for p in dict.fromkeys(purpose or Purpose)],
        )
        self.emit(
            [
                {"id": key.kid, "purpose": key.purpose, "activates_at": key.activates_at}
                for key in keys
            ]
        )
