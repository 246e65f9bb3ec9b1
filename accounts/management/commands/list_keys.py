"""List the signing keys and what the clock makes of them."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.management.base import ProductCommand
from accounts.models import SigningKey
from accounts.tokens.key_states import FOR_EVER, Standing, key_standings

UNKNOWN = "unknown"  # of a purpose that this release does not have


class Command(ProductCommand):
    """Public facts alone."""

    help = "List the signing keys with their states."
    lists = True

    def handle(self, *args: Any, **options: Any) -> None:
        """Print every key, those of one purpose together, oldest first."""
        keys = list(SigningKey.objects.order_by("purpose", "activates_at"))
        standings = key_standings(keys, now=timezone.now())
        self.emit(
            [
                {
                    "id": key.kid,
                    "purpose": key.purpose,
                    "alg": key.alg,
                    "state": standings[key.kid].state if key.kid in standings else UNKNOWN,
                    "activates_at": key.activates_at,
                    "created_at": key.created_at,
                    "retired_at": key.retired_at,
                    "published_until": _published_until(standings.get(key.kid)),
                }
                for key in keys
            ]
        )


def _published_until(standing: Standing | None) -> datetime | str | None:
    """Tell when a key leaves the key set; None while nobody knows yet."""
    if standing is None:
        return None
    return "for ever" if standing.published_until == FOR_EVER else standing.published_until
