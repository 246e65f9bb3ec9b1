"""Find who decided what an entry of the authority's own chain tells, and why (docs/adr/0040)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from accounts.models import Decision, SecurityEvent
from accounts.models.decision import correlation_of
from batchtokens.models import LedgerEntry


@dataclass(frozen=True)
class Found:
    """What the security log says. is_as_recorded: the entry's digests are those of these words."""

    actor: str
    reason: str
    is_as_recorded: bool


def find_decision(entry: LedgerEntry) -> Found | None:
    """Return what the security log keeps of it; None where nobody in person decided, or no more.

    entry: of the authority's own chain.
    """
    told = json.loads(entry.entry)["data"]
    correlation = correlation_of(told)
    event = SecurityEvent.objects.filter(correlation=correlation).first() if correlation else None
    if event is None:
        return None
    kept = {name: str(event.data.get(name, "")) for name in ("by", "reason", "salt")}
    # Who decided without a name is in the log by the kind alone.
    actor = kept["by"] if "actor" in told else ""
    known = Decision(told["by"], actor, kept["reason"], salt=_salt(kept["salt"])).told()
    return Found(kept["by"], kept["reason"], known.items() <= told.items())


def _salt(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
