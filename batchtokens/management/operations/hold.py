"""`operations hold`: stop new runs until staff resumes."""

from batchtokens.management.operations.change import ChangeVerb
from batchtokens.services.hold import hold_operation


class HoldOperation(ChangeVerb):
    """A hold of the kind staff."""

    name = "hold"
    help = "Hold operations as staff: no run is accepted until staff resumes them."
    done = "held"
    service = hold_operation
