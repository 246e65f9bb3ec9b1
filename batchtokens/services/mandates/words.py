"""Who in person decides about an operation, and in which words, as its ledger tells it (I12).

What they are allowed hangs on their kind alone (`by`, see `hold.py`): these are only told, salted
with the operation's salt. The authority's own decisions bring theirs (`accounts.models.Decision`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from batchtokens.models import (
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
    chain_entry,
    salted_digest,
)

LONGEST_REASON = 500  # characters


@dataclass(frozen=True, slots=True)
class Words:
    """One person's decision, in their words; both may be left unsaid.

    actor: their public id, or "operator:" and a name; the ledger keeps its salted digest. reason:
    free text, of which the entry has the salted digest and the row beside it what owners can read.
    """

    actor: str = ""
    reason: str = ""


UNSAID = Words()


def decision_entry(
    token: OperationToken,
    kind: EntryKind,
    *,
    at: dt.datetime,
    by: HoldKind,
    words: Words,
    **more: Any,
) -> LedgerEntry:
    """Return the unsaved entry of what somebody decided, with what `more` it tells.

    Call it as `chain_entry`: under the row's lock, after its state columns have their new values.
    """
    data = {"by": by.value, **more}
    if words.actor:
        data["actor"] = salted_digest(bytes(token.salt), words.actor)
    return chain_entry(token, kind, at=at, data=data, note=words.reason)
