"""Name everything of accounts that rests sealed and outlives a change of keys."""

from typing import Any

from accounts.models import ServiceClient, SigningKey, TotpDevice
from accounts.models.sealed import SealedColumn


def list_sealed_columns() -> list[SealedColumn]:
    """Return the columns.  A way to a provider is not among them: it is over in minutes."""
    return [
        _column("totp-devices", TotpDevice, "key_sealed"),
        _column("delivery-secrets", ServiceClient, "delivery_secret_sealed"),
        _column("signing-keys", SigningKey, "private_sealed"),
    ]


def _column(name: str, model: Any, field: str) -> SealedColumn:
    return SealedColumn(name, model.objects.all(), field, model.seal_context)
