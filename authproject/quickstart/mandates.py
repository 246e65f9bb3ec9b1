"""Mandates to look at: eight people save from next month on; one paused, one gave up."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import FIRST_PARTY, User
from accounts.tokens.access import Grant
from batchtokens.models import HoldKind, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import Words
from batchtokens_verifier.constraints import format_instant


@dataclass(frozen=True)
class Plan:
    """A demo mandate: so much, so often, from the first of next month on."""

    reference: str
    amount: str
    frequency: str
    period: str
    count: int
    window: str = "P1D"

    def operation(self, number: int) -> dict[str, object]:
        return {
            "action": "savings.deposit",
            "amount": {"amount": self.amount, "currency": "USD"},
            "creditor_account": f"sav-{7800 + number}",
            "debtor_account": f"chk-{1100 + number}",
            "reference": self.reference,
        }

    def constraints(self, start: datetime) -> dict[str, object]:
        limit = {
            "period_type": self.period,
            "period_alignment": "consent",
            "time_zone": "UTC",
            "amount": self.amount,
            "currency": "USD",
            "max_count": 1,
        }
        return {
            "valid_from": format_instant(start),
            "valid_to": format_instant(start + timedelta(days=330)),
            "schedule": f"FREQ={self.frequency};COUNT={self.count}",
            "due_window": self.window,
            "periodic_limits": [limit],
        }


PLANS = (
    Plan("monthly savings", "50.00", "MONTHLY", "month", 10, "P3D"),
    Plan("holiday fund", "25.00", "WEEKLY", "week", 26),
    Plan("rainy day", "5.00", "DAILY", "day", 90, "PT12H"),
    Plan("new bicycle", "120.00", "MONTHLY", "month", 6, "P3D"),
    Plan("school fees", "300.00", "MONTHLY;INTERVAL=3", "quarter", 3, "P5D"),
    Plan("wedding", "200.00", "MONTHLY", "month", 10, "P3D"),
    Plan("paused for now", "75.00", "MONTHLY", "month", 8, "P3D"),
    Plan("changed my mind", "15.00", "WEEKLY", "week", 20),
)
HELD, CANCELLED = "paused for now", "changed my mind"


def ensure_mandates(people: Collection[User]) -> int:
    """Give each of the first people a mandate, unless they have one; return how many there are."""
    start = next_month(database_now())
    for number, (person, plan) in enumerate(zip(people, PLANS, strict=False)):
        if not OperationToken.objects.for_user(person).filter(client=None).exists():
            _create(person, plan, number, start)
    return OperationToken.objects.filter(user__in=people, client=None).count()


def any_waiting() -> OperationToken:
    """Return a mandate that has runs in the queue."""
    return OperationToken.objects.filter(client=None, queued_runs__isnull=False).earliest(
        "issued_at"
    )


def next_month(now: datetime) -> datetime:
    """Return the next first of a month, at 09:00 UTC."""
    return (now.replace(day=1) + timedelta(days=32)).replace(
        day=1, hour=9, minute=0, second=0, microsecond=0
    )


def _create(person: User, plan: Plan, number: int, start: datetime) -> None:
    grant = Grant(
        subject=person,
        scope=frozenset({"trigger_continuous_savings"}),
        client_id=FIRST_PARTY,
        audience=settings.ISSUER_URL,
    )
    request = OperationRequest(
        type="savings.deposit",
        operation=plan.operation(number),
        constraints=plan.constraints(start),
    )
    operation = create_operation(by=grant, request=request)
    if plan.reference == HELD:
        hold_operation(
            operation_id=operation.pk, by=HoldKind.USER, words=Words(reason="until after the move")
        )
    if plan.reference == CANCELLED:
        cancel_operation(
            operation_id=operation.pk, by=HoldKind.USER, words=Words(reason="no longer wanted")
        )
