"""`operations resume`: lift staff's and the trigger's holds; the person's own stays."""

from datetime import datetime
from typing import Any

from django.core.management import CommandParser

from batchtokens.management.operations.change import ChangeVerb
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.mandates.hold import liftable, resume_operation
from batchtokens.services.mandates.hold_many import resume_operations


class ResumeOperation(ChangeVerb):
    """What staff may lift, or after a declared loss what the system set."""

    name = "resume"
    help = "Lift holds of staff and of the trigger; the person's own hold stays."
    done = "resumed"
    service = resume_operation
    services = resume_operations

    def add_options(self, parser: CommandParser) -> None:
        """Declare also whose hold it is."""
        super().add_options(parser)
        parser.add_argument(
            "--after-loss",
            action="store_true",
            help="lift the hold that reconcile_ledger set instead, once you know from the executor"
            " which runs it did",
        )

    def speaks_as(self, options: dict[str, Any]) -> HoldKind:
        """Let who runs commands here speak for the system."""
        return HoldKind.SYSTEM if options["after_loss"] else HoldKind.STAFF

    def check(self, token: OperationToken, at: datetime, by: HoldKind) -> None:
        """Raise also where no such hold is set."""
        super().check(token, at, by)
        liftable(token, by)
