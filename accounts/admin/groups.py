"""Groups: what their members may do here, and which scopes they may ask for."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from accounts.admin.base import actor, is_superuser
from accounts.models import RequestContext
from accounts.services.record_event import actor_data, record_event

admin.site.unregister(Group)


@admin.register(Group)
class RightsAdmin(GroupAdmin):
    """Superusers alone give rights away; whoever may change a group gives them to its members."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let superusers alone make one."""
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let superusers alone change one."""
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let superusers alone delete one."""
        return is_superuser(request)

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        """Save, and note which group it was and what was changed."""
        super().save_model(request, obj, form, change)
        changed = {"group": obj.name, "changed": form.changed_data}
        record_event(
            code="group_changed",
            data=changed | actor_data(actor(request)),
            context=RequestContext.of(request),
        )
