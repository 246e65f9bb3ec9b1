"""Operation tokens: what was signed, what became of it, and staff's hold, resume and cancel."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from batchtokens.admin.reading import ChoiceFilter, as_json, link, money
from batchtokens.admin.staff_changes import StaffChangesAdmin
from batchtokens.models import OperationToken, OperationType, Status
from batchtokens.models.clock import database_now
from batchtokens.models.operation_tokens import OperationTokenQuerySet

TIMELINE_LENGTH = 20


class StatusFilter(ChoiceFilter):
    """The status that is computed from holds, counts and time."""

    title = "status"
    parameter_name = "status"
    choices_shown = tuple(Status.choices)

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[OperationToken]
    ) -> QuerySet[OperationToken]:
        """Keep the operations of the chosen status."""
        value = self.value()
        if value not in Status.values or not isinstance(queryset, OperationTokenQuerySet):
            return queryset
        return queryset.with_status(str(value), database_now())


class TypeFilter(admin.SimpleListFilter):
    """The type's name, whatever its version."""

    title = "type"
    parameter_name = "type"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[Any, Any]]:
        """Return the names of all types."""
        names = OperationType.objects.current().order_by("name").values_list("name", flat=True)
        return [(name, name) for name in names]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[OperationToken]
    ) -> QuerySet[OperationToken]:
        """Keep the operations of the chosen type."""
        return queryset.filter(type_name=self.value()) if self.value() else queryset


@admin.register(OperationToken)
class OperationTokenAdmin(StaffChangesAdmin):
    """Mandates, newest first."""

    operation_field = "pk"
    list_display = (
        "public_id",
        "status",
        "amount",
        "used",
        "valid_to",
        "user",
        "type_name",
        "executor",
        "client_name",
        "alg",
        "short_kid",
    )
    list_filter = (StatusFilter, TypeFilter, "executor", "client")
    list_select_related = ("user", "client", "executor", "operation_type")
    search_fields = (
        "user__username_folded__startswith",
        "user__email_folded__exact",
        "parameter_digest__exact",
        "jws_digest__exact",
        "token_hash__exact",
    )
    search_help_text = "An operation (op_…), a person, or a digest."
    date_hierarchy = "issued_at"
    fieldsets = (
        (None, {"fields": ("public_id", "status", "summary", "user", "more")}),
        (
            "Signature",
            {"fields": ("alg", "kid", "jws_digest", "parameter_digest", "token_hash")},
        ),
        (
            "What was signed",
            {"fields": ("operation_type", "executor", "client_name", "signed_operation", "limits")},
        ),
        (
            "Amount and expiry",
            {
                "fields": (
                    ("amount", "total"),
                    ("used", "used_total"),
                    ("issued_at", "valid_from", "valid_to"),
                )
            },
        ),
        ("State", {"fields": ("holds", "cancelled_at", "seq", "head_hash", "last_at")}),
        ("Timeline", {"fields": ("timeline",)}),
    )
    readonly_fields = (
        "public_id",
        "status",
        "more",
        "client_name",
        "signed_operation",
        "limits",
        "amount",
        "total",
        "used",
        "used_total",
        "timeline",
    )

    @admin.display(description="status")
    def status(self, row: Any) -> str:
        """Tell the status at the page's instant."""
        return Status(row.status_at(row.clock)).label

    @admin.display(description="amount", ordering="amount_minor")
    def amount(self, row: OperationToken) -> str:
        """Return the amount of a run."""
        return money(row.amount_minor, row.currency) or "variable"

    @admin.display(description="in total at most")
    def total(self, row: OperationToken) -> str:
        """Return the limit of the sum."""
        return money(row.max_total_minor, row.currency) or "no limit"

    @admin.display(description="used")
    def used(self, row: OperationToken) -> str:
        """Say how many runs were taken, of how many."""
        return f"{row.taken_count} of {row.most_runs}"

    @admin.display(description="used in total")
    def used_total(self, row: OperationToken) -> str:
        """Return the sum of the runs that were taken."""
        return money(row.taken_minor, row.currency)

    @admin.display(description="trigger", ordering="client")
    def client_name(self, row: OperationToken) -> str:
        """Name the trigger."""
        return row.client_name

    @admin.display(description="key id", ordering="kid")
    def short_kid(self, row: OperationToken) -> str:
        """Return the beginning of the key's id."""
        return f"{row.kid[:8]}…"

    @admin.display(description="operation")
    def signed_operation(self, row: OperationToken) -> SafeString:
        """Show the operation."""
        return as_json(json.loads(row.operation))

    @admin.display(description="authorization details")
    def limits(self, row: OperationToken) -> SafeString:
        """Show the whole element that was signed."""
        return as_json(row.details)

    @admin.display(description="see also")
    def more(self, row: OperationToken) -> SafeString:
        """Link to everything that belongs to it."""
        pages = (
            ("ledgerentry", "Ledger"),
            ("redemption", "Redemptions"),
            ("queuedrun", "Queue"),
        )
        links = ((link(model, text, operation_token__id__exact=row.pk),) for model, text in pages)
        return format_html_join(" · ", "{}", links)

    @admin.display(description=f"the last {TIMELINE_LENGTH} entries")
    def timeline(self, row: OperationToken) -> SafeString:
        """Show the newest ledger entries."""
        entries = row.ledger_entries.order_by("-seq")[:TIMELINE_LENGTH]
        lines = (
            (f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.get_kind_display(), entry.note)
            for entry in entries
        )
        cells = format_html_join("", "<tr><td>{} UTC</td><td>{}</td><td>{}</td></tr>", lines)
        return format_html("<table><tbody>{}</tbody></table>", cells)
