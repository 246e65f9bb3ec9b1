"""What is told of a token, in status lists and by introspection: one expression for both (I9).

All but time: that it has expired, a token says itself.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, Q, Value, When


class PublishedStatus(models.IntegerChoices):
    """The values of Token Status List, section 7.1."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


_IS_OVER = (
    Q(cancelled_at__isnull=False)
    | Q(disowned_at__isnull=False)
    | Q(settled_count__gte=F("max_occurrences"))
)
# Who is switched off may be switched on again, but nobody is told that this was the reason.
_IS_SWITCHED_OFF = (
    Q(user__is_active=False)
    | Q(executor__is_active=False)
    | Q(operation_type__is_active=False)
    | Q(client__is_active=False)
)
_IS_HELD = ~Q(holds=[])


def published_status() -> Case:
    """Return the expression: PublishedStatus of an operation token's row."""
    return Case(
        When(_IS_OVER | _IS_SWITCHED_OFF, then=Value(PublishedStatus.INVALID)),
        When(
            _IS_HELD & Q(operation_type__shows_suspended=True),
            then=Value(PublishedStatus.SUSPENDED),
        ),
        When(_IS_HELD, then=Value(PublishedStatus.INVALID)),
        default=Value(PublishedStatus.VALID),
        output_field=models.PositiveSmallIntegerField(),
    )
