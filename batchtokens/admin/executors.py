"""Executors' caps, read here, and their switch: staff stop and start them, with a reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import ServiceClient
from batchtokens.admin.reading import link, money
from batchtokens.admin.switching import SwitchedAdmin, SwitchForm
from batchtokens.models import ExecutorControl
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.read_executor import ExecutorState, Used, read_executors
from batchtokens.services.redemption.stop_executor import (
    CONSEQUENCES,
    start_executor,
    stop_executor,
)


class StopForm(SwitchForm):
    """Also names the executor: one without caps has no row yet."""

    executor = forms.ModelChoiceField(ServiceClient.objects.order_by("client_id"))
    field_order = ("executor", "reason")


@admin.register(ExecutorControl)
class ExecutorControlAdmin(SwitchedAdmin):
    """Executors that have caps or were stopped; caps are set by `manage.py executor_control`."""

    operation_field = "executor__executed_tokens__pk"
    ordering = ("executor__client_id",)
    switch_permission = "batchtokens.change_executorcontrol"
    consequences = CONSEQUENCES
    change_list_template = "admin/batchtokens/executorcontrol/change_list.html"
    list_display = ("executor", "is_running", "stopped_by", "stopped_at", "reason")
    list_filter = ("stopped_by",)
    list_select_related = ("executor",)
    search_fields = ("executor__client_id__startswith",)
    search_help_text = "An operation (op_…), or an executor's name."
    fields = (
        "executor",
        ("is_running", "stopped_at", "stopped_by"),
        "reason",
        ("count_a_minute", "count_a_day"),
        ("sum_a_minute", "sum_a_day"),
        ("used_this_minute", "used_today"),
        "types",
    )
    readonly_fields = (
        "is_running",
        "count_a_minute",
        "count_a_day",
        "sum_a_minute",
        "sum_a_day",
        "used_this_minute",
        "used_today",
        "types",
    )

    @admin.display(description="is running", boolean=True)
    def is_running(self, row: ExecutorControl) -> bool:
        """Tell it in the list."""
        return self.runs(row)

    @admin.display(description="count a minute")
    def count_a_minute(self, row: ExecutorControl) -> str:
        """Return the cap."""
        return str(row.max_count_minute or "no cap")

    @admin.display(description="count a day")
    def count_a_day(self, row: ExecutorControl) -> str:
        """Return the cap."""
        return str(row.max_count_day or "no cap")

    @admin.display(description="sum a minute")
    def sum_a_minute(self, row: ExecutorControl) -> str:
        """Return the cap with its currency."""
        return money(row.max_minor_minute, row.currency) or "no cap"

    @admin.display(description="sum a day")
    def sum_a_day(self, row: ExecutorControl) -> str:
        """Return the cap with its currency."""
        return money(row.max_minor_day, row.currency) or "no cap"

    @admin.display(description="used this minute")
    def used_this_minute(self, row: ExecutorControl) -> str:
        """Say what was reserved since the minute began."""
        return _used(_state(row).minute, row.currency)

    @admin.display(description="used today (UTC)")
    def used_today(self, row: ExecutorControl) -> str:
        """Say what was reserved since the UTC day began."""
        return _used(_state(row).day, row.currency)

    @admin.display(description="operation types")
    def types(self, row: ExecutorControl) -> SafeString:
        """Link to those it executes, with their switch."""
        links = (
            (link("operationtype", kind.name, pk=kind.pk), "" if kind.is_active else " (stopped)")
            for kind in _state(row).types
        )
        return format_html_join(" · ", "{}{}", links)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those stop executors, also such as have no row, who have Django's permission."""
        return self.may_switch(request)

    def runs(self, row: ExecutorControl) -> bool:
        """Say whether it may reserve."""
        return row.stopped_at is None

    def named(self, row: ExecutorControl) -> str:
        """Return the executor's name."""
        return row.executor.client_id

    def switch(self, row: ExecutorControl, *, stop: bool, reason: str, actor: str) -> None:
        """Stop or start the executor."""
        service = stop_executor if stop else start_executor
        service(executor=row.executor, reason=reason, actor=actor)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Stop any executor."""
        if not self.may_switch(request):
            raise PermissionDenied
        form = StopForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self.ask_to_switch(request, form, title="Stop an executor", stop=True)
        row = ExecutorControl(executor=form.cleaned_data["executor"])
        return self.decide(request, row, stop=True, reason=form.cleaned_data["reason"])


def _state(row: ExecutorControl) -> ExecutorState:
    (state,) = read_executors([row.executor], now=database_now())
    return state


def _used(used: Used, currency: str) -> str:
    if used.count is None:
        return "not counted, for want of a cap"
    total = money(used.minor, currency)
    return f"{used.count}, {total}" if total else str(used.count)
