"""Redemptions and the attempts on them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from batchtokens.admin.reading import ChoiceFilter, ReadOnlyAdmin, as_json, link, money
from batchtokens.models import Redemption, RedemptionAttempt, RedemptionStatus
from batchtokens.models.clock import DatabaseClock


class RedemptionStatusFilter(ChoiceFilter):
    """A reserved row whose lease has ended is in doubt."""

    title = "status"
    parameter_name = "status"
    choices_shown = tuple(RedemptionStatus.choices)

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Redemption]
    ) -> QuerySet[Redemption]:
        """Keep the redemptions of the chosen status."""
        reserved = queryset.filter(status=RedemptionStatus.RESERVED)
        match self.value():
            case RedemptionStatus.RESERVED:
                return reserved.filter(lease_expires_at__gt=DatabaseClock())
            case RedemptionStatus.IN_DOUBT:
                return reserved.filter(lease_expires_at__lte=DatabaseClock())
            case RedemptionStatus.SETTLED | RedemptionStatus.RELEASED as status:
                return queryset.filter(status=status)
        return queryset


@admin.register(Redemption)
class RedemptionAdmin(ReadOnlyAdmin):
    """Used slots."""

    ordering = ("-reserved_at",)
    list_display = (
        "id",
        "operation",
        "slot",
        "status_now",
        "sum",
        "attempt",
        "reserved_at",
        "settled_at",
        "releases",
    )
    list_filter = (RedemptionStatusFilter,)
    list_select_related = ("operation_token",)
    search_fields = ("id__exact", "reference__exact")
    search_help_text = "An operation (op_…), a redemption (rdm_…) or an executor's reference."
    date_hierarchy = "reserved_at"
    fields = (
        "id",
        "operation",
        ("slot", "counts_at"),
        "status_now",
        "sum",
        ("attempt", "attempts"),
        ("reserved_at", "lease_expires_at"),
        ("settled_at", "reference"),
        "releases",
        "closing_receipt",
    )
    readonly_fields = ("id", "operation", "status_now", "sum", "attempts")

    @admin.display(description="status")
    def status_now(self, row: Any) -> str:
        """Tell the status at the page's instant."""
        return RedemptionStatus(row.status_at(row.clock)).label

    @admin.display(description="amount", ordering="amount_minor")
    def sum(self, row: Redemption) -> str:
        """Return the amount with its currency."""
        return money(row.amount_minor, row.currency)

    def attempts(self, row: Redemption) -> SafeString:
        """Link to the attempts."""
        return link("redemptionattempt", "Show all", redemption__id__exact=row.pk)


@admin.register(RedemptionAttempt)
class RedemptionAttemptAdmin(ReadOnlyAdmin):
    """Answered redemption requests, newest first."""

    operation_field = "redemption__operation_token"
    list_display = ("redemption", "attempt", "client", "at", "lease_expires_at", "idempotency_key")
    list_filter = ("client",)
    list_select_related = ("redemption", "client")
    search_fields = ("redemption__id__exact", "idempotency_key__exact")
    search_help_text = "An operation (op_…), a redemption (rdm_…) or an Idempotency-Key."
    date_hierarchy = "at"
    fields = (
        "redemption",
        ("attempt", "client"),
        ("at", "lease_expires_at"),
        "idempotency_key",
        "left",
        "receipt",
    )
    readonly_fields = ("left",)

    @admin.display(description="remaining")
    def left(self, attempt: RedemptionAttempt) -> SafeString:
        """Show what was left after it."""
        return as_json(attempt.remaining)
