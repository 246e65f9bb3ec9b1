"""Who decides at a terminal, and why: the ledger keeps digests of both, an owner sees the why."""

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.base import UsageError
from batchtokens.services.mandates.words import LONGEST_REASON


def add_operator(parser: CommandParser) -> None:
    """Declare who decides."""
    parser.add_argument(
        "--operator", type=name, help="who decides (default: the account that runs this)"
    )


def reason_given(
    text: str, *, longest: int = LONGEST_REASON, readers: str = "owners see it"
) -> str:
    """Return the reason, trimmed. Raises UsageError where there is none, or too much of it."""
    reason = text.strip()
    if not 1 <= len(reason) <= longest:
        raise UsageError(f"Say why: --reason, 1 to {longest} characters; {readers}.")
    return reason
