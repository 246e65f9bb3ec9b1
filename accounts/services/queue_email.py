"""Put a message into the outbox, in the transaction of what it tells of."""

from collections.abc import Mapping

from accounts.models import EmailKind, OutgoingEmail, RequestContext, User
from accounts.services.record_event import NOWHERE


def queue_email(
    *,
    kind: EmailKind,
    user: User | None = None,
    address: str = "",
    data: Mapping[str, str] | None = None,
    context: RequestContext = NOWHERE,
) -> None:
    """Queue one message to a person, or to an address where it is not known whose it is.

    One statement, whether or not anybody has the address: who has it is asked when it is sent.
    `data` holds no secret; where the request came from is told beside it.
    """
    where = {"address": context.address, "user_agent": context.user_agent}
    OutgoingEmail.objects.create(
        kind=kind, user=user, address=address, data={**where, **(data or {})}
    )
