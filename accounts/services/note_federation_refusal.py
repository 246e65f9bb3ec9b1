"""Keep why a way to a provider and back has failed: its caller learns only that it has."""

import logging
from datetime import datetime

from accounts.errors import FederationRefused
from accounts.models import RequestContext
from accounts.services.record_event import count_refusal

logger = logging.getLogger(__name__)


def note_federation_refusal(
    refusal: FederationRefused,
    *,
    provider: str,
    context: RequestContext,
    now: datetime,
) -> None:
    """Log the cause and count the refusal.  The causes are ours: nothing in them was sent."""
    logger.info(
        "federated sign-in refused at %s",
        provider,
        extra={"code": refusal.code, "reason": refusal.reason},
    )
    count_refusal(code="federation_refused", reason=refusal.reason, context=context, now=now)
