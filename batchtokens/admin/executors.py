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

from accounts.models import ServiceClient, User
from batchtokens.admin.reading import ReadOnlyAdmin, money
from batchtokens.models import ExecutorControl
from batchtokens.services.stop_executor import start_executor, stop_executor

CHANGE_PERMISSION = "batchtokens.change_executorcontrol"


class SwitchForm(forms.Form):
    reason = forms.CharField(
        max_length=200,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Why; it is kept in the security log.",
    )


class StopForm(SwitchForm):
    """Also names the executor: one without caps has no row yet."""

    executor = forms.ModelChoiceField(ServiceClient.objects.order_by("client_id"))


@admin.register(ExecutorControl)
class ExecutorControlAdmin(ReadOnlyAdmin):
    """Executors that have caps or were stopped; caps are set by `manage.py executor_control`."""

    operation_field = "executor__executed_tokens__pk"
    ordering = ("executor__client_id",)
    change_form_template = "admin/batchtokens/executorcontrol/change_form.html"
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
    )
    readonly_fields = ("is_running", "sum_a_minute", "sum_a_day")

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
            return self._switch(request, form.cleaned_data["executor"], form, stop=True)
        return self._page(request, form, "Stop an executor")

    def switch_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Stop an executor or start it, once a reason is given.

        The page says which it was asked for: two who ask at once do not undo each other.
        """
        if not self.has_add_permission(request):
            raise PermissionDenied
        control = get_object_or_404(ExecutorControl.objects.select_related("executor"), pk=pk)
        sent = request.method == "POST"
        wanted = request.POST.get("wanted") if sent else None
        stop = wanted == "stop" if wanted in {"stop", "start"} else control.stopped_at is None
        form = SwitchForm(request.POST if sent else None)
        if form.is_valid() and wanted in {"stop", "start"}:
            return self._switch(request, control.executor, form, stop=stop)
        title = f"{'Stop' if stop else 'Start'} {control.executor.client_id}"
        return self._page(request, form, title, wanted="stop" if stop else "start")

    def _switch(
        self, request: HttpRequest, executor: ServiceClient, form: forms.Form, *, stop: bool
    ) -> HttpResponse:
        service, done = (stop_executor, "stopped") if stop else (start_executor, "started")
        reason, actor = form.cleaned_data["reason"], cast("User", request.user).public_id
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
