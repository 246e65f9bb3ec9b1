"""Service clients, what they have shown once, and API keys; without their secrets."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.admin.base import KeptAdmin, ReadOnlyAdmin, actor, data_of_change
from accounts.forms.clients import ServiceClientForm
from accounts.models import ApiKey, ClientAssertion, RequestContext, ServiceClient
from accounts.services.record_event import record_event
from accounts.services.revoke_api_key import revoke_api_key


@admin.register(ServiceClient)
class ServiceClientAdmin(KeptAdmin):
    """Machine principals; new ones come from `create_service_client`, which shows the secret."""

    form = ServiceClientForm
    list_display = ("client_id", "audience", "scopes", "is_active", "created_at")
    list_filter = ("is_active",)
    search_fields = ("client_id", "audience")
    fields = ("public_id", "client_id", "audience", "delivery_url", "scopes", "jwks", "is_active")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let deliveries go elsewhere only where there is a secret to sign them with."""
        fixed = ("public_id", "client_id")
        return fixed if obj and obj.delivery_secret_sealed else (*fixed, "delivery_url")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Add nothing here."""
        return False

    def save_model(self, request: HttpRequest, obj: ServiceClient, form: Any, change: bool) -> None:
        """Save, and note which fields were changed."""
        super().save_model(request, obj, form, change)
        record_event(
            code="client_changed",
            client=obj,
            data=data_of_change(request, obj, form),
            context=RequestContext.of(request),
        )


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of service clients and of people, without the secrets."""

    list_display = (
        "name", "owner", "identifier", "last_four", "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    list_filter = ("client", "revoked_at")
    search_fields = ("name", "identifier", "client__client_id", "user__username_folded")
    list_select_related = ("client", "user")
    date_hierarchy = "created_at"
    show_full_result_count = False
    exclude = ("secret_digest",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Let those revoke keys who may change them: looking is not enough."""
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke the chosen keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke the keys chosen."""
        keys = list(queryset.select_related("client", "user"))
        how: Any = {"by": actor(request), "context": RequestContext.of(request)}
        revoked = sum(revoke_api_key(api_key=key, **how) for key in keys)
        messages.success(request, f"{revoked} keys revoked.")


@admin.register(ClientAssertion)
class ClientAssertionAdmin(ReadOnlyAdmin):
    """Assertions that open nothing a second time."""

    list_display = ("client", "expires_at")
    list_filter = ("client",)
    list_select_related = ("client",)
    exclude = ("jti_digest",)
    show_full_result_count = False
