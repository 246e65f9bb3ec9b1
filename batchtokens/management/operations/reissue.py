"""`operations reissue`: sign anew what a compromised key had signed; no slot opens again."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.base import NothingMatched, PartialFailure, ProductCommand, UsageError
from batchtokens.management.operations.named import operation_named
from batchtokens.management.operations.verb import Verb
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.keys.disown import disown_operations, is_compromised
from batchtokens.services.keys.reissue import reissuable, reissue_operations


class ReissueOperations(Verb):
    """Which ones are honest, the operator decides: all of a key, or those that are named."""

    name = "reissue"
    help = "Sign disowned operations anew: the same claims with the present key."
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare which."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--key", metavar="KID", type=name, help="all that this key had signed")
        which.add_argument("--operation", metavar="ID", type=name, nargs="+", help="op_ ids")
        which.add_argument("--all", action="store_true", help="whatever key had signed them")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Ask, sign page by page, and print what became of each."""
        if not options["reason"].strip():
            raise UsageError("Say why, with --reason.")
        kid = options["key"]
        if kid and not options["dry_run"] and is_compromised(kid=kid):
            disown_operations(kid=kid, reason=options["reason"])  # what was signed meanwhile
        among = _among(options)
        found = among.count()
        if not found:
            raise NothingMatched("Nothing that is disowned and live matched.")
        if options["dry_run"]:
            command.emit([{"id": each.public_id, "reissued": "would be"} for each in among])
            return
        command.confirm(f"Sign {found} operations anew?", yes=options["yes"])
        rows = []
        for page in reissue_operations(among=among, reason=options["reason"]):
            rows += [{"id": each, "reissued": "yes"} for each in page.signed]
            rows += [{"id": each, "reissued": "its claims are not kept"} for each in page.lost]
            rows += [{"id": each, "reissued": "its ledger does not match"} for each in page.damaged]
        command.emit(rows)
        if lost := sum(row["reissued"] != "yes" for row in rows):
            raise PartialFailure(f"{lost} of {len(rows)} cannot be signed anew: ask for new ones.")


def _among(options: dict[str, Any]) -> OperationTokenQuerySet:
    if options["key"]:
        return reissuable().filter(kid=options["key"])
    if options["operation"]:
        named = [operation_named(each).pk for each in dict.fromkeys(options["operation"])]
        return reissuable().filter(pk__in=named)
    return reissuable()
