"""The queue: what is due, in a worker's hands, failing or dead. What is sealed stays sealed."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from batchtokens.admin.reading import ChoiceFilter, ReadOnlyAdmin
from batchtokens.models import QueuedRun, RunState
from batchtokens.models.clock import DatabaseClock


class SituationFilter(ChoiceFilter):
    """What an operator asks for."""

    title = "situation"
    parameter_name = "situation"
    choices_shown = (
        ("due", "Due now"),
        ("waiting", "Waiting for its time"),
        ("leased", "In a worker's hands"),
        ("failing", "Failed, will be tried again"),
        ("dead", "Dead"),
        ("done", "Done"),
    )

    def queryset(self, request: HttpRequest, queryset: QuerySet[QueuedRun]) -> QuerySet[QueuedRun]:
        """Keep the runs in the chosen situation."""
        pending = queryset.filter(state=RunState.PENDING)
        match self.value():
            case "due":
                return pending.filter(next_attempt_at__lte=DatabaseClock())
            case "waiting":
                return pending.filter(next_attempt_at__gt=DatabaseClock())
            case "failing":
                return pending.exclude(code="")
            case "leased" | "dead" | "done" as state:
                return queryset.filter(state=state)
        return queryset


@admin.register(QueuedRun)
class QueuedRunAdmin(ReadOnlyAdmin):
    """Runs, newest first."""

    list_display = (
        "webhook_id",
        "state",
        "due_at",
        "closes_at",
        "attempts",
        "next_attempt_at",
        "lease_owner",
        "code",
    )
    list_filter = (SituationFilter, "code")
    list_select_related = ("operation_token",)
    search_fields = ("occurrence__exact", "lease_owner__startswith")
    search_help_text = "An operation (op_…), an occurrence or a worker."
    date_hierarchy = "due_at"
    fields = (
        "webhook_id",
        "operation",
        "occurrence",
        "state",
        "code",
        ("due_at", "closes_at"),
        ("attempts", "next_attempt_at"),
        ("lease_owner", "leased_until"),
        ("created_at", "finished_at"),
    )
    readonly_fields = ("webhook_id", "operation")
