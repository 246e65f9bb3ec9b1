"""Who decides at a terminal, and why: the ledger keeps a digest of both, an owner sees the why."""

import getpass

from accounts.management.base import UsageError

LONGEST_REASON = 500


def reason_given(text: str) -> str:
    """Return the reason, trimmed. Raises UsageError where there is none, or too much of it."""
    reason = text.strip()
    if not 1 <= len(reason) <= LONGEST_REASON:
        raise UsageError(f"Say why: --reason, 1 to {LONGEST_REASON} characters; owners see it.")
    return reason


def operator(name: str | None = None) -> str:
    """Return what the ledger calls an operator, by default the account that runs the command."""
    return f"operator:{name or getpass.getuser()}"
