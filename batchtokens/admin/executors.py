"""Executors' caps, read here, and their switch: staff stop and start them, with a reason."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import ServiceClient, User
from batchtokens.admin.reading import ReadOnlyAdmin, link, money
from batchtokens.admin.switching import SwitchForm, asked_for
from batchtokens.models import ExecutorControl
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.read_executor import ExecutorState, Used, read_executors
from batchtokens.services.redemption.stop_executor import start_executor, stop_executor

CHANGE_PERMISSION = "batchtokens.change_executorcontrol"


class StopForm(SwitchForm):
    """Also names the executor: one without caps has no row yet."""

    executor = forms.ModelChoiceField(ServiceClient.objects.order_by("client_id"))


@admin.register(ExecutorControl)
class ExecutorControlAdmin(ReadOnlyAdmin):
    """Executors that have caps or were stopped; caps are set by `manage.py executor_control`."""

    operation_field = "executor__executed_tokens__pk"
    ordering = ("executor__client_id",)
    change_form_template = "admin/batchtokens/executorcontrol/change_form.html"
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
        ("max_count_minute", "max_count_day"),
        ("sum_a_minute", "sum_a_day"),
        ("used_this_minute", "used_today"),
        "types",
    )
    readonly_fields = (
        "is_running",
        "sum_a_minute",
        "sum_a_day",
        "used_this_minute",
        "used_today",
        "types",
    )

    @admin.display(description="is running", boolean=True)
    def is_running(self, row: ExecutorControl) -> bool:
        """Tell whether it may reserve."""
        return row.stopped_at is None

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
        return request.user.has_perm(CHANGE_PERMISSION)

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the switch."""
        switch = path(
            "<uuid:pk>/switch/",
            self.admin_site.admin_view(self.switch_view),
            name="batchtokens_executorcontrol_switch",
        )
        return [switch, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one executor's, with the switch where the reader may use it."""
        more = {"may_switch": self.has_add_permission(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, more)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Stop any executor."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = StopForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            executor, reason = form.cleaned_data["executor"], form.cleaned_data["reason"]
            return self._switch(request, executor, stop=True, reason=reason)
        return self._page(request, form, "Stop an executor")

    def switch_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Stop an executor or start it, once a reason is given."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        control = get_object_or_404(ExecutorControl.objects.select_related("executor"), pk=pk)
        asked = asked_for(request, runs=control.stopped_at is None)
        if asked.reason:
            return self._switch(request, control.executor, stop=asked.stop, reason=asked.reason)
        verb = "Stop" if asked.stop else "Start"
        title = f"{verb} {control.executor.client_id}"
        return self._page(request, asked.form, title, wanted=verb.lower())

    def _switch(
        self, request: HttpRequest, executor: ServiceClient, *, stop: bool, reason: str
    ) -> HttpResponse:
        service, done = (stop_executor, "stopped") if stop else (start_executor, "started")
        actor = cast("User", request.user).public_id
        control = service(executor=executor, reason=reason, actor=actor)
        self.log_change(request, control, f"{done}: {reason}")
        messages.success(request, f"{executor.client_id} is {done}.")
        return redirect("admin:batchtokens_executorcontrol_change", control.pk)

    def _page(
        self, request: HttpRequest, form: forms.Form, title: str, wanted: str = "stop"
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "form": form,
            "wanted": wanted,
        }
        page = "admin/batchtokens/executorcontrol/switch.html"
        return TemplateResponse(request, page, context)


def _state(row: ExecutorControl) -> ExecutorState:
    (state,) = read_executors([row.executor], now=database_now())
    return state


def _used(used: Used, currency: str) -> str:
    if used.count is None:
        return "not counted, for want of a cap"
    total = money(used.minor, currency)
    return f"{used.count}, {total}" if total else str(used.count)
