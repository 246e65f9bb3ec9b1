"""The page that stops or starts something: it wants a reason, and says which of the two it asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse

from batchtokens.admin.asking import AskingAdmin, Offer, actor_of
from batchtokens.services.redemption.stop_executor import LONGEST_SWITCH_REASON


class SwitchForm(forms.Form):
    reason = forms.CharField(
        max_length=LONGEST_SWITCH_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Why; it is kept in the security log.",
    )


@dataclass(frozen=True)
class Asked:
    """reason: "" until the form was sent with one, and with what is wanted."""

    stop: bool
    form: SwitchForm
    reason: str = ""


class SwitchedAdmin(AskingAdmin):
    """Rows of what runs or is stopped, with the page of their switch.

    consequences: what is said on it, by "stop" and "start".
    """

    switch_permission: ClassVar[str]
    consequences: ClassVar[Mapping[str, str]]

    @abstractmethod
    def runs(self, row: Any) -> bool:
        """Say whether it runs now."""

    @abstractmethod
    def named(self, row: Any) -> str:
        """Return what the pages call it."""

    @abstractmethod
    def switch(self, row: Any, *, stop: bool, reason: str, actor: str) -> None:
        """Stop it, or start it."""

    def may_switch(self, request: HttpRequest) -> bool:
        """Let those who have Django's permission: looking is not enough."""
        return request.user.has_perm(self.switch_permission)

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the switch."""
        view = self.admin_site.admin_view(self.switch_view)
        switch = path("<uuid:pk>/switch/", view, name=f"batchtokens_{self.opts.model_name}_switch")
        return [switch, *super().get_urls()]

    def offers(self, request: HttpRequest, row: Any) -> list[Offer]:
        """Offer the other of what is now."""
        if not self.may_switch(request):
            return super().offers(request, row)
        address = reverse(f"admin:batchtokens_{self.opts.model_name}_switch", args=[row.pk])
        label = "Stop" if self.runs(row) else "Start"
        return [*super().offers(request, row), Offer(label, address)]

    def switch_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Stop it or start it, once a reason is given."""
        if not self.may_switch(request):
            raise PermissionDenied
        row: Any = get_object_or_404(self.model, pk=pk)
        asked = asked_for(request, runs=self.runs(row))
        if asked.reason:
            return self.decide(request, row, stop=asked.stop, reason=asked.reason)
        title = f"{'Stop' if asked.stop else 'Start'} {self.named(row)}"
        back = reverse(f"admin:batchtokens_{self.opts.model_name}_change", args=[row.pk])
        return self.ask_to_switch(request, asked.form, title=title, stop=asked.stop, back=back)

    def ask_to_switch(
        self, request: HttpRequest, form: forms.Form, *, title: str, stop: bool, back: str = ""
    ) -> HttpResponse:
        """Show the form; the page says which of the two is wanted."""
        wanted = "stop" if stop else "start"
        consequence = self.consequences[wanted]
        return self.ask(
            request,
            form,
            title=title,
            verb=wanted.capitalize(),
            wanted=wanted,
            consequence=consequence,
            back=back,
        )

    def decide(self, request: HttpRequest, row: Any, *, stop: bool, reason: str) -> HttpResponse:
        """Do it, and show the row."""
        done = "stopped" if stop else "started"
        self.switch(row, stop=stop, reason=reason, actor=actor_of(request))
        self.log_change(request, row, f"{done}: {reason}")
        messages.success(request, f"{self.named(row)} is {done}.")
        return redirect(f"admin:batchtokens_{self.opts.model_name}_change", row.pk)


def asked_for(request: HttpRequest, *, runs: bool) -> Asked:
    """Read what the page was asked for; by default the other of what is now.

    The page says which: two who ask for the same at once do not undo each other.
    """
    sent = request.method == "POST"
    wanted = request.POST.get("wanted") if sent else None
    form = SwitchForm(request.POST if sent else None)
    if wanted not in {"stop", "start"}:
        return Asked(runs, form)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    return Asked(wanted == "stop", form, reason)
