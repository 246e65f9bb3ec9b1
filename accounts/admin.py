"""Accounts in Django's admin: what is appended is only read, and no secret is shown.

Nothing is deleted here; people and clients are disabled instead, so that what they did keeps
its name.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.forms import ServiceClientForm, UserCreateForm, UserEditForm
from accounts.models import (
    ApiKey,
    RateCounter,
    RequestContext,
    SecurityEvent,
    ServiceClient,
    SessionFamily,
    SigningKey,
    User,
)
from accounts.models.session_family import SessionFamilyQuerySet
from accounts.services.create_api_key import revoke_api_key
from accounts.services.end_session import end_sessions, sign_out_everywhere
from accounts.services.note_password_change import note_password_change
from accounts.services.record_event import actor_data, record_event
from accounts.tokens.keyring import key_states

# These are generic in their type stubs only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    PeopleAdmin = UserAdmin[User]
else:
    ModelAdmin = admin.ModelAdmin
    PeopleAdmin = UserAdmin

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


def _actor(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _data_of_change(request: HttpRequest, obj: Any, form: Any) -> dict[str, Any]:
    changed = {"id": obj.public_id, "changed": form.changed_data}
    return changed | actor_data(_actor(request))


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


class KeptAdmin(ModelAdmin):
    """Rows that are changed but never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Delete nothing."""
        return False


class ReadOnlyAdmin(KeptAdmin):
    """Rows that nobody edits by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Add nothing."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Change nothing."""
        return False


@admin.register(User)
class AccountAdmin(PeopleAdmin, KeptAdmin):
    """People."""

    form = UserEditForm
    add_form = UserCreateForm
    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    search_fields = ("username_folded", "email_folded")
    ordering = ("-date_joined",)
    date_hierarchy = "date_joined"
    readonly_fields = ("public_id", "date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("public_id", "username", "email", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Permissions in the admin", {"fields": ("user_permissions",)}),
        ("When", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),
    )
    actions = ("sign_out_everywhere",)

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End all places of the people chosen."""
        how: Any = {"why": "admin", "by": _actor(request), "context": RequestContext.of(request)}
        each = [User.objects.filter(pk=user.pk) for user in queryset]
        ended = sum(sign_out_everywhere(users=users, **how) for users in each)
        messages.success(request, f"{ended} sessions and all browsers signed out.")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let superusers alone change those who have rights here: a password is all of them."""
        protected = obj is not None and (obj.is_staff or obj.is_superuser)
        if protected and not _is_superuser(request):
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let superusers alone give rights away."""
        return self.readonly_fields if _is_superuser(request) else (*self.readonly_fields, *RIGHTS)

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - Django's addresses name it so
        form_url: str = "",
    ) -> HttpResponse:
        """Change somebody's password, and note it where one was stored."""
        person = self.get_object(request, unquote(id))
        known = person.password if person else ""
        response = super().user_change_password(request, id, form_url)
        actor = _actor(request)
        if person and actor:
            person.refresh_from_db()
            if person.password != known:
                context = RequestContext.of(request)
                note_password_change(user=person, by=actor, context=context)
        return response

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, and note which fields were changed."""
        super().save_model(request, obj, form, change)
        record_event(
            code="account_changed" if change else "account_created",
            user=obj,
            data=_data_of_change(request, obj, form),
            context=RequestContext.of(request),
        )


@admin.register(SessionFamily)
class SessionFamilyAdmin(ReadOnlyAdmin):
    """Signed-in places."""

    list_display = ("public_id", "user", "kind", "client_id", "last_used_at", "ended_at")
    list_filter = ("kind", "end_reason", "client_id")
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

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Let those end sessions who may change them: looking is not enough."""
        return request.user.has_perm("accounts.change_sessionfamily")

    @admin.action(description="End the chosen sessions", permissions=["end"])
    def end(self, request: HttpRequest, queryset: SessionFamilyQuerySet) -> None:
        """End the places chosen."""
        how: Any = {"why": "admin", "by": _actor(request), "context": RequestContext.of(request)}
        ended = end_sessions(families=queryset, **how)
        messages.success(request, f"{ended} sessions ended.")


@admin.register(ServiceClient)
class ServiceClientAdmin(KeptAdmin):
    """Machine principals; new ones come from `create_service_client`, which shows the secret."""

    form = ServiceClientForm
    list_display = ("client_id", "audience", "scopes", "is_active", "created_at")
    list_filter = ("is_active",)
    search_fields = ("client_id", "audience")
    fields = ("public_id", "client_id", "audience", "delivery_url", "scopes", "is_active")

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
            data=_data_of_change(request, obj, form),
            context=RequestContext.of(request),
        )


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Secrets of service clients, without the secrets."""

    list_display = ("name", "client", "identifier", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("client", "revoked_at")
    search_fields = ("name", "identifier", "client__client_id")
    list_select_related = ("client",)
    exclude = ("secret_digest",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Let those revoke keys who may change them: looking is not enough."""
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke the chosen keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke the keys chosen."""
        keys = list(queryset.select_related("client"))
        how: Any = {"by": _actor(request), "context": RequestContext.of(request)}
        revoked = sum(revoke_api_key(api_key=key, **how) for key in keys)
        messages.success(request, f"{revoked} keys revoked.")


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """Signing keys, public parts alone; new ones come from `rotate_keys`."""

    list_display = ("kid", "purpose", "alg", "state", "activates_at")
    list_filter = ("purpose",)
    search_fields = ("kid",)
    ordering = ("purpose", "activates_at")
    exclude = ("private_sealed",)
    readonly_fields = ("state",)

    def state(self, key: SigningKey) -> str:
        """Tell what the clock makes of the key."""
        keys = SigningKey.objects.for_purpose(key.purpose)
        return key_states(keys, now=timezone.now())[key.kid].value


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
    """Counters of volume limits; their keys are digests."""

    list_display = ("key", "value", "expires_at")
    show_full_result_count = False
