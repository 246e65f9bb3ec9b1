"""Takes in a delivery of the authority's worker (Standard Webhooks 1.0).

Its copy of the operation is not believed, nor is its id: `guards.Deliveries` compares both with the
token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import DeliveryNotValid, InvalidOperation

MAX_DELIVERY_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to hand over a due run."""

    operation_token: str = field(repr=False)
    operation: dict[str, Any]
    occurrence: str
    attempt: int
    webhook_id: str

    @property
    def idempotency_key(self) -> str:
        """Return the Idempotency-Key for this attempt's redemption."""
        return f"{self.webhook_id}.{self.attempt}"

    def check_operation(self, operation_id: str) -> None:
        """Refuse a delivery whose id names another operation than its token, or another run.

        The redemption's key is made of that id, and would be spent on the wrong operation.
        operation_id: of the verified claims. Raises DeliveryNotValid.
        """
        if self.webhook_id != f"{operation_id}.{self.occurrence}":
            raise DeliveryNotValid("The delivery's id is of another operation.")


def verify_delivery(headers: Mapping[str, str], body: bytes, *, secret: str) -> Delivery:
    """Return the delivery that `body` is, signed with `secret` within the last five minutes.

    body: the exact bytes received. secret: `whsec_` + base64, as shown when the client was made.
    Nothing of the token is checked yet: `guards.Deliveries` does all. Raises DeliveryNotValid.
    """
    if len(body) > MAX_DELIVERY_BYTES:
        raise DeliveryNotValid("The delivery is too long.")
    webhook = Webhook(secret)
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        raise DeliveryNotValid("The delivery's signature is not valid.") from None
    names = {name.lower(): value for name, value in headers.items()}
    return _delivery(_members(body), names["webhook-id"])


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = parse_json(body, max_bytes=MAX_DELIVERY_BYTES)
    except InvalidOperation:
        raise DeliveryNotValid("The delivery is not JSON.") from None
    if not isinstance(members, dict):
        raise DeliveryNotValid("The delivery is not an object.")
    return members


def _delivery(members: Mapping[str, Any], webhook_id: str) -> Delivery:
    match members:
        case {
            "operation_token": str(token),
            "operation": dict(operation),
            "occurrence": str(occurrence),
            "attempt": int(attempt),
        } if webhook_id.endswith(f".{occurrence}") and attempt is not True:
            return Delivery(token, operation, occurrence, attempt, webhook_id)
    raise DeliveryNotValid("The delivery's members are not as expected.")
