"""People, and what staff may do for them."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.admin.attempts_of_person import AttemptsOfPerson, LockedFilter
from accounts.admin.base import KeptAdmin, actor, data_of_change, is_superuser
from accounts.admin.second_factor import SecondFactorOfPerson
from accounts.forms.people import UserCreateForm, UserEditForm
from accounts.models import RequestContext, User
from accounts.services.change_email import note_email_change
from accounts.services.end_session import sign_out_everywhere
from accounts.services.note_password_change import note_password_change
from accounts.services.record_event import record_event
from accounts.services.shut_out import shut_out

# Generic in its type stubs only.
if TYPE_CHECKING:
    PeopleAdmin = UserAdmin[User]
    PasswordForm = AdminPasswordChangeForm[User]
else:
    PeopleAdmin = UserAdmin
    PasswordForm = AdminPasswordChangeForm


RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
# Columns that are written with others.
FOLLOWERS = {"username": "username_folded", "email": "email_folded", "is_active": "frozen_at"}


class PersonPasswordForm(PasswordForm):
    """Somebody else's password."""

    def save(self, commit: bool = True) -> User:
        """Store the hash alone: others may have changed the row since it was read."""
        user: User = super().save(commit=False)
        if commit:
            user.save(update_fields=["password"])
        return user


@admin.register(User)
class AccountAdmin(AttemptsOfPerson, SecondFactorOfPerson, PeopleAdmin, KeptAdmin):
    """People."""

    form = UserEditForm
    add_form = UserCreateForm
    change_password_form = PersonPasswordForm
    list_display = (
        "username",
        "email",
        "is_active",
        "locked",
        "is_staff",
        "date_joined",
        "last_login",
    )
    list_filter = ("is_active", LockedFilter, "is_staff", "is_superuser", "groups")
    search_fields = ("username_folded", "email_folded")
    ordering = ("-date_joined",)
    date_hierarchy = "date_joined"
    readonly_fields = (
        "public_id",
        "second_factor",
        "failures",
        "email_verified_at",
        "frozen_at",
        "date_joined",
        "last_login",
    )
    fieldsets = (
        (None, {"fields": ("public_id", "username", "email", "email_verified_at", "password")}),
        ("How they sign in", {"fields": ("second_factor", "failures", "frozen_at")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Permissions in the admin", {"fields": ("user_permissions",)}),
        ("When", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),
    )
    actions = ("sign_out_everywhere", "unlock")

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End all places of the people chosen, save those whom whoever asks may not change."""
        how: Any = {"why": "admin", "by": actor(request), "context": RequestContext.of(request)}
        each = [User.objects.filter(pk=user.pk) for user in self.changeable(request, queryset)]
        ended = sum(sign_out_everywhere(users=users, **how) for users in each)
        messages.success(request, f"{ended} sessions and all browsers signed out.")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let superusers alone change those who have rights here: a password is all of them."""
        protected = obj is not None and (obj.is_staff or obj.is_superuser)
        if protected and not is_superuser(request):
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let superusers alone give rights away."""
        return self.readonly_fields if is_superuser(request) else (*self.readonly_fields, *RIGHTS)

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - Django's addresses name it so
        form_url: str = "",
    ) -> HttpResponse:
        """Change somebody's password, and note it where one was stored.

        One's own is changed by who knows it, on the page that asks for it.
        """
        person = self.get_object(request, unquote(id))
        if person == request.user and self.has_change_permission(request, person):
            return redirect("admin:password_change")
        known = person.password if person else ""
        response = super().user_change_password(request, id, form_url)
        by = actor(request)
        if person and by:
            person.refresh_from_db()
            if person.password != known:
                context = RequestContext.of(request)
                note_password_change(user=person, by=by, context=context)
        return response

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, note which fields were changed, and shut out who is disabled."""
        by, context, now = actor(request), RequestContext.of(request), timezone.now()
        if obj.is_active:
            obj.frozen_at = None
        # Of a row that is there, what was edited alone: others may have changed the rest meanwhile.
        obj.save(update_fields=_columns(form.changed_data) if change else None)
        record_event(
            code="account_changed" if change else "account_created",
            user=obj,
            data=data_of_change(request, obj, form),
            context=context,
            now=now,
        )
        if change and "email" in form.changed_data:
            former = form.initial["email"]
            note_email_change(user=obj, former=former, by=by, context=context, now=now)
        if not obj.is_active:  # who is let in again later signs in anew
            shut_out(user=obj, why="deactivated", by=by, context=context, now=now)


def _columns(names: Collection[str]) -> set[str]:
    """Return the row's own columns of these fields, and what is written with them."""
    columns = {field.name for field in User._meta.concrete_fields} & set(names)
    return columns | {FOLLOWERS[name] for name in columns & FOLLOWERS.keys()}
