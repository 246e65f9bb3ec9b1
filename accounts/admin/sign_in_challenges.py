"""Sign-ins that are halfway."""

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from accounts.models import SignInChallenge


@admin.register(SignInChallenge)
class SignInChallengeAdmin(ReadOnlyAdmin):
    """Sign-ins that wait for their second factor."""

    list_display = ("user", "client_id", "tries", "created_at", "expires_at", "spent_at")
    search_fields = ("user__username_folded",)
    list_select_related = ("user",)
    exclude = ("token_digest",)
    show_full_result_count = False
