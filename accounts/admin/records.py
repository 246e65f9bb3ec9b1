"""What is only appended and counted."""

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from accounts.models import RateCounter, SecurityEvent


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    """The security log."""

    list_display = ("at", "code", "outcome", "user", "client", "address", "count")
    list_filter = ("outcome", "code")
    search_fields = ("user__username_folded", "client__client_id", "address", "request_id")
    list_select_related = ("user", "client")
    ordering = ("-id",)
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(RateCounter)
class RateCounterAdmin(ReadOnlyAdmin):
    """Counters of volume limits, and of failures by network."""

    list_display = ("key", "value", "expires_at")
    show_full_result_count = False
