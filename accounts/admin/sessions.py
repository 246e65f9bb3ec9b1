"""Signed-in places."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from accounts.admin.base import ReadOnlyAdmin, actor
from accounts.models import RequestContext, SessionFamily
from accounts.models.session_family import SessionFamilyQuerySet
from accounts.services.end_session import end_sessions
from accounts.services.name_device import name_device


@admin.register(SessionFamily)
class SessionFamilyAdmin(ReadOnlyAdmin):
    """Signed-in places."""

    list_display = (
        "public_id",
        "user",
        "kind",
        "device",
        "address",
        "acr",
        "created_at",
        "last_used_at",
        "ended_at",
    )
    list_filter = ("kind", "acr", "end_reason", "client_id")
    readonly_fields = ("device",)
    search_fields = ("user__username_folded", "address")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    show_full_result_count = False
    exclude = (
        "current_jti_digest",
        "previous_jti_digest",
        "rotated_by_digest",
        "rotation_key_digest",
    )
    actions = ("end",)

    @admin.display(description="device")
    def device(self, place: SessionFamily) -> str:
        """Name it, as far as its User-Agent header tells."""
        return name_device(place.user_agent)

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Let those end sessions who may change them: looking is not enough."""
        return request.user.has_perm("accounts.change_sessionfamily")

    @admin.action(description="End the chosen sessions", permissions=["end"])
    def end(self, request: HttpRequest, queryset: SessionFamilyQuerySet) -> None:
        """End the places chosen."""
        how: Any = {"why": "admin", "by": actor(request), "context": RequestContext.of(request)}
        ended = end_sessions(families=queryset, **how)
        messages.success(request, f"{ended} sessions ended.")
