"""List the signing keys and what the clock makes of them."""

from typing import Any

from django.utils import timezone

from accounts.management.base import ProductCommand
from accounts.models import SigningKey
from accounts.tokens.keyring import key_states

UNKNOWN = "unknown"  # of a purpose that this release does not have


class Command(ProductCommand):
    """Public facts alone."""

    help = "List the signing keys with their states."
    lists = True

    def handle(self, *args: Any, **options: Any) -> None:
        """Print every key, those of one purpose together, oldest first."""
        keys = list(SigningKey.objects.order_by("purpose", "activates_at"))
        states = key_states(keys, now=timezone.now())
        self.emit(
            [
                {
                    "id": key.kid,
                    "purpose": key.purpose,
                    "alg": key.alg,
                    "state": states.get(key.kid, UNKNOWN),
                    "activates_at": key.activates_at,
                    "created_at": key.created_at,
                }
                for key in keys
            ]
        )
