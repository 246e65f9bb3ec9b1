"""What the pages share: who acts, what a change is recorded as, what nobody does here."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from accounts.models import User
from accounts.services.record_event import actor_data

# Generic in its type stubs only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


def actor(request: HttpRequest) -> User | None:
    """Return the member of staff who asks."""
    return request.user if isinstance(request.user, User) else None


def data_of_change(request: HttpRequest, obj: Any, form: Any) -> dict[str, Any]:
    """Name in an event which fields were changed, and by whom."""
    changed = {"id": obj.public_id, "changed": form.changed_data}
    return changed | actor_data(actor(request))


def is_superuser(request: HttpRequest) -> bool:
    """Say whether whoever asks may do everything."""
    return isinstance(request.user, User) and request.user.is_superuser


class KeptAdmin(ModelAdmin):
    """Rows that are changed but never deleted."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to filter by what is not shown: it could be found out letter by letter."""
        if lookup.partition("__")[0] in self._hidden():
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    def _hidden(self) -> set[str]:
        hidden = set(self.exclude or ())
        if self.fields:
            offered = {*self.fields, *self.list_filter, "id"}
            hidden |= {field.name for field in self.opts.concrete_fields} - offered
        return hidden

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
