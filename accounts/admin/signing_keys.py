"""Signing keys, public parts alone."""

from django.contrib import admin
from django.utils import timezone

from accounts.admin.base import ReadOnlyAdmin
from accounts.models import SigningKey
from accounts.tokens.key_states import key_states


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
