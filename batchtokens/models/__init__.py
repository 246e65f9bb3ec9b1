"""What batchtokens stores.

The invariants (docs/invariants.md) that a database can hold are constraints here.
"""

from batchtokens.models.consents import Consent, ConsentStatus
from batchtokens.models.executors import ExecutorControl, ExecutorUse, StoppedBy, UsePeriod
from batchtokens.models.ledger import (
    AUTHORITY,
    STATE_FIELDS,
    EntryKind,
    LedgerEntry,
    append_authority_entry,
    chain_entry,
    entry_hash,
    instant,
    salted_digest,
)
from batchtokens.models.lookups import Among
from batchtokens.models.operation_tokens import (
    STATUS_TRANSITIONS,
    HoldKind,
    OperationToken,
    Status,
)
from batchtokens.models.operation_types import ConsentMode, OperationType
from batchtokens.models.published_status import PublishedStatus, published_status
from batchtokens.models.queue import QueuedRun, RunState
from batchtokens.models.redemptions import (
    MAX_RELEASES,
    TRANSITIONS,
    Redemption,
    RedemptionAttempt,
    RedemptionStatus,
)
from batchtokens.models.status_lists import STATUS_LIST_SIZE, StatusList
from batchtokens.models.tree import Checkpoint, LedgerLeaf, LedgerNode

__all__ = [
    "AUTHORITY",
    "MAX_RELEASES",
    "STATE_FIELDS",
    "STATUS_LIST_SIZE",
    "STATUS_TRANSITIONS",
    "TRANSITIONS",
    "Among",
    "Checkpoint",
    "Consent",
    "ConsentMode",
    "ConsentStatus",
    "EntryKind",
    "ExecutorControl",
    "ExecutorUse",
    "HoldKind",
    "LedgerEntry",
    "LedgerLeaf",
    "LedgerNode",
    "OperationToken",
    "OperationType",
    "PublishedStatus",
    "QueuedRun",
    "Redemption",
    "RedemptionAttempt",
    "RedemptionStatus",
    "RunState",
    "Status",
    "StatusList",
    "StoppedBy",
    "UsePeriod",
    "append_authority_entry",
    "chain_entry",
    "entry_hash",
    "instant",
    "published_status",
    "salted_digest",
]
