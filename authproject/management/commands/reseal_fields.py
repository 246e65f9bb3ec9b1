"""Seal everything under the first of FIELD_ENCRYPTION_KEYS, so that the older ones can go."""

import argparse
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import PartialFailure, ProductCommand, Row
from accounts.models import RecoveryCode
from accounts.models.sealed import SealedColumn
from accounts.services import list_sealed_columns as of_accounts
from accounts.services.reseal_fields import reseal_fields
from batchtokens.services.keys import list_sealed_columns as of_batchtokens

LEFT = (
    "{codes} recovery codes of {people} people were made under an older key, and nobody can make"
    " them anew but their owners: they stop opening when that key is removed."
)
FREE = "Nothing needs the older keys any more."


def batch_size(text: str) -> int:
    """Read how many rows a transaction takes."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 10000")
    return int(text)


class Command(ProductCommand):
    """Run it once every process has the new first key: others still seal under theirs."""

    help = (
        "Seal what is encrypted under the first of FIELD_ENCRYPTION_KEYS. Then the older keys can"
        " be removed, except for recovery codes: they are digests, and it says how many are left."
    )
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare how."""
        parser.add_argument(
            "--batch", type=batch_size, default=500, help="rows a transaction (500)"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")

    def handle(self, *args: Any, batch: int, dry_run: bool, **options: Any) -> None:
        """Seal again, and print for each table what was done and what is left."""
        columns = [*of_accounts.list_sealed_columns(), *of_batchtokens.list_sealed_columns()]
        rows = [_counted(column) if dry_run else _sealed(column, batch) for column in columns]
        codes = RecoveryCode.objects.under_older_keys()
        count = codes.count()
        rows.append({"id": "recovery-codes", "resealed": 0, "left": count, "unreadable": 0})
        self.emit(rows)
        if count:
            people = codes.values("user").distinct().count()
            self.say(LEFT.format(codes=count, people=people))
        elif not any(row["left"] for row in rows):
            self.say(FREE)
        if any(row["unreadable"] for row in rows):
            raise PartialFailure("Some values open under none of the keys; they stay as they are.")


def _sealed(column: SealedColumn, batch: int) -> Row:
    result = reseal_fields(column=column, batch=batch)
    return {**_counted(column), "resealed": result.done, "unreadable": result.unreadable}


def _counted(column: SealedColumn) -> Row:
    left = column.outdated().count()
    return {"id": column.name, "resealed": 0, "left": left, "unreadable": 0}
