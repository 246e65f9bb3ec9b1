"""`operations hold`: stop new runs until staff resumes."""

from datetime import datetime

from batchtokens.management.operations.change import ChangeVerb
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.mandates.hold import hold_operation, is_held_by
from batchtokens.services.mandates.hold_many import hold_operations


class HoldOperation(ChangeVerb):
    """A hold of the kind staff."""

    name = "hold"
    help = "Hold operations as staff: no run is accepted until staff resumes them."
    done = "held"
    service = hold_operation
    services = hold_operations

    def concerns(self, token: OperationToken, at: datetime, by: HoldKind) -> bool:
        """Leave out what is held so."""
        return super().concerns(token, at, by) and not is_held_by(token, by)
