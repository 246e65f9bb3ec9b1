"""batchtokens in Django's admin: everything is read here; what changes goes through services."""

from batchtokens.admin.consents import ConsentAdmin
from batchtokens.admin.executors import ExecutorControlAdmin
from batchtokens.admin.ledger import LedgerEntryAdmin
from batchtokens.admin.operation_tokens import OperationTokenAdmin
from batchtokens.admin.operation_types import OperationTypeAdmin
from batchtokens.admin.queue import QueuedRunAdmin
from batchtokens.admin.redemptions import RedemptionAdmin, RedemptionAttemptAdmin

__all__ = [
    "ConsentAdmin",
    "ExecutorControlAdmin",
    "LedgerEntryAdmin",
    "OperationTokenAdmin",
    "OperationTypeAdmin",
    "QueuedRunAdmin",
    "RedemptionAdmin",
    "RedemptionAttemptAdmin",
]
