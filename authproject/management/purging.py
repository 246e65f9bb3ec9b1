"""Delete what is over in every app: the command's and the worker's one list."""

from accounts.services.purge_expired import Purged, purge_expired
from batchtokens.services.consent.purge_consents import purge_consents
from batchtokens.services.redemption.purge_executor_uses import purge_executor_uses

OF_OPERATIONS = {"consents": purge_consents, "executor_uses": purge_executor_uses}


def purge_everything(*, batch: int = 1000, max_seconds: float = 60.0) -> Purged:
    """Delete in turn a batch of each kind, until nothing is left or the time is up."""
    return purge_expired(batch=batch, max_seconds=max_seconds, also=OF_OPERATIONS)
