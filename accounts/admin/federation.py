"""Identities at other providers, and sign-ins there that have not come back yet."""

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from accounts.models import FederatedIdentity, FederationRequest


@admin.register(FederatedIdentity)
class FederatedIdentityAdmin(ReadOnlyAdmin):
    """Who somebody is elsewhere."""

    list_display = ("user", "provider", "iss", "sub", "created_at", "last_used_at")
    list_filter = ("provider",)
    search_fields = ("user__username_folded", "sub")
    list_select_related = ("user",)
    show_full_result_count = False


@admin.register(FederationRequest)
class FederationRequestAdmin(ReadOnlyAdmin):
    """Ways to a provider, without what makes them come back."""

    list_display = ("provider", "user", "created_at", "expires_at", "used_at")
    list_filter = ("provider",)
    list_select_related = ("user",)
    fields = ("provider", "user", "created_at", "expires_at", "used_at")
    show_full_result_count = False
