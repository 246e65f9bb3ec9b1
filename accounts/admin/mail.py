"""The outbox, and the links that its messages carried."""

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from accounts.models import OneTimeLink, OutgoingEmail


@admin.register(OutgoingEmail)
class OutgoingEmailAdmin(ReadOnlyAdmin):
    """What was mailed, is to be, or could not be."""

    list_display = ("kind", "user", "address", "created_at", "attempts", "sent_at", "given_up_at")
    list_filter = ("kind",)
    search_fields = ("user__username_folded", "address")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    show_full_result_count = False


@admin.register(OneTimeLink)
class OneTimeLinkAdmin(ReadOnlyAdmin):
    """Links, which only their readers know."""

    list_display = ("purpose", "user", "email", "created_at", "expires_at", "used_at")
    list_filter = ("purpose",)
    search_fields = ("user__username_folded", "email")
    list_select_related = ("user",)
    exclude = ("token_digest",)
    show_full_result_count = False
