"""What batchtokens stores.

The invariants of DESIGN §7 that a database can hold are constraints here.
"""

from batchtokens.models.ledger import (
    STATE_FIELDS,
    EntryKind,
    LedgerEntry,
    chain_entry,
    entry_hash,
    instant,
    salted_digest,
)
from batchtokens.models.operation_tokens import HoldKind, OperationToken, Status
from batchtokens.models.operation_types import ConsentMode, OperationType
from batchtokens.models.queue import QueuedRun, RunState
from batchtokens.models.redemptions import (
    MAX_RELEASES,
    TRANSITIONS,
    Redemption,
    RedemptionAttempt,
    RedemptionStatus,
)

__all__ = [
    "MAX_RELEASES",
    "STATE_FIELDS",
    "TRANSITIONS",
    "ConsentMode",
    "EntryKind",
    "HoldKind",
    "LedgerEntry",
    "OperationToken",
    "OperationType",
    "QueuedRun",
    "Redemption",
    "RedemptionAttempt",
    "RedemptionStatus",
    "RunState",
    "Status",
    "chain_entry",
    "entry_hash",
    "instant",
    "salted_digest",
]
