"""Second factors: how a person's stands, and superusers' help for who has lost it.

Nothing here shows a key or a code, and nobody turns one on for somebody else.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.admin.base import KeptAdmin, ReadOnlyAdmin, actor, is_superuser
from accounts.models import Authenticator, RecoveryCode, RequestContext, TotpDevice, User
from accounts.services.disable_totp import take_second_factor_away
from accounts.services.read_second_factor import count_recovery_codes, read_totp


class ReasonForm(forms.Form):
    why = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="How you know that it is they. It stands in the security log.",
    )


class SecondFactorOfPerson(KeptAdmin):
    """Adds to a person's page how their second factor stands, and the way to take it away."""

    @admin.display(description="authenticator app")
    def second_factor(self, person: User) -> str:
        """Say whether it is on, since when, and how many recovery codes are left."""
        state, codes = read_totp(user=person), count_recovery_codes(user=person)
        if not state.enabled:
            return "off"
        since = f"on since {state.enabled_at:%Y-%m-%d %H:%M} UTC" if state.enabled_at else "on"
        return f"{since}; {codes.left} of {codes.total} recovery codes left"

    def get_urls(self) -> list[URLPattern]:
        """Add the page, before the addresses that take any word for a key."""
        page = path(
            "<uuid:pk>/second-factor/",
            self.admin_site.admin_view(self.take_away_view),
            name="accounts_user_second_factor",
        )
        return [page, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a person, with the way to the page for who may use it."""
        person = self.get_object(request, object_id)
        more = dict(extra_context or {})
        if person and _may_take_away(request, person):
            more["take_away"] = reverse("admin:accounts_user_second_factor", args=[person.pk])
        return super().change_view(request, object_id, form_url, more)

    def take_away_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask for the reason (GET), or do it (POST)."""
        person = self.get_object(request, str(pk))
        if person is None:
            raise Http404
        by = actor(request)
        if by is None or not _may_take_away(request, person):
            raise PermissionDenied
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._ask(request, person, form)
        context = RequestContext.of(request)
        take_second_factor_away(user=person, by=by, why=form.cleaned_data["why"], context=context)
        messages.success(request, f"{person} signs in with the password alone now.")
        return redirect("admin:accounts_user_change", person.pk)

    def _ask(self, request: HttpRequest, person: User, form: ReasonForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Take the second factor away",
            "person": person,
            "form": form,
        }
        return TemplateResponse(request, "admin/accounts/user/second_factor.html", context)


def _may_take_away(request: HttpRequest, person: User) -> bool:
    """Let superusers help others; their own they turn off as everybody does, with a code."""
    return is_superuser(request) and person.pk != request.user.pk and read_totp(user=person).enabled


@admin.register(TotpDevice)
class TotpDeviceAdmin(ReadOnlyAdmin):
    """Authenticator apps, without their keys."""

    list_display = ("user", "confirmed", "created_at", "confirmed_at")
    list_filter = ("confirmed",)
    search_fields = ("user__username_folded",)
    list_select_related = ("user",)
    fields = ("user", "confirmed", "created_at", "confirmed_at", "drift")
    show_full_result_count = False


@admin.register(RecoveryCode)
class RecoveryCodeAdmin(ReadOnlyAdmin):
    """Which recovery codes were used, and when."""

    list_display = ("user", "created_at", "used_at")
    search_fields = ("user__username_folded",)
    list_select_related = ("user",)
    fields = ("user", "created_at", "used_at")
    show_full_result_count = False


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Failures in a row."""

    list_display = ("user", "kind", "failures", "strangers_wait_until")
    list_filter = ("kind",)
    search_fields = ("user__username_folded",)
    list_select_related = ("user",)
    fields = ("user", "kind", "failures", "strangers_wait_until")
    show_full_result_count = False
