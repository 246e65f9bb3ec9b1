"""Operation tokens for operators: list, show, change, check and account for them."""

from collections.abc import Iterator
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, add_shared_options
from batchtokens.management.operations.cancel import CancelOperation
from batchtokens.management.operations.evidence import EvidencePack
from batchtokens.management.operations.hold import HoldOperation
from batchtokens.management.operations.issue import IssueOperations
from batchtokens.management.operations.list import ListOperations
from batchtokens.management.operations.missed import ListMissed
from batchtokens.management.operations.reconcile import ReconcileDay
from batchtokens.management.operations.reissue import ReissueOperations
from batchtokens.management.operations.resume import ResumeOperation
from batchtokens.management.operations.run_due import RunDue
from batchtokens.management.operations.show import ShowOperation
from batchtokens.management.operations.verb import Verb
from batchtokens.management.operations.verify import VerifyToken
from batchtokens.management.operations.verify_evidence import VerifyEvidence

VERBS: tuple[Verb, ...] = (
    ListOperations(),
    ShowOperation(),
    HoldOperation(),
    ResumeOperation(),
    CancelOperation(),
    VerifyToken(),
    RunDue(),
    ListMissed(),
    ReconcileDay(),
    EvidencePack(),
    VerifyEvidence(),
    IssueOperations(),
    ReissueOperations(),
)


class Command(ProductCommand):
    """Hands each verb to its own module."""

    help = "List, show, change, check and account for operation tokens."

    def add_options(self, parser: CommandParser) -> None:
        """Declare the verbs, each with its options."""
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        for verb in VERBS:
            own = verbs.add_parser(verb.name, help=verb.help, description=verb.help)
            add_shared_options(own, lists=verb.lists, destructive=verb.destructive)
            verb.add_options(own)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the chosen verb."""
        (verb,) = (verb for verb in VERBS if verb.name == options["verb"])
        verb.run(self, options)

    def documented(self) -> Iterator[tuple[str, str]]:
        """Yield each verb with its help."""
        for verb in VERBS:
            yield f" {verb.name}", verb.help
