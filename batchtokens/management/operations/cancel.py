"""`operations cancel`: final; what was redeemed stays redeemed."""

from batchtokens.management.operations.change import ChangeVerb
from batchtokens.services.mandates.revoke import cancel_operation, cancel_operations


class CancelOperation(ChangeVerb):
    """For ever."""

    name = "cancel"
    help = "Cancel operations for ever; what was redeemed stays redeemed."
    done = "cancelled"
    service = cancel_operation
    services = cancel_operations
