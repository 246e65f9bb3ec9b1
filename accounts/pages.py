"""The admin's own pages about the person who is there: sign-in and password.

Not in `accounts.admin`: Django makes the site before any model is registered with it.
"""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse

from accounts.forms import StaffSignInForm
from accounts.models import RequestContext, User
from accounts.services.note_password_change import note_password_change


class StaffSite(AdminSite):
    """Stock admin, where the log sees who comes in."""

    login_form = StaffSignInForm

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Change one's own password; this browser stays signed in."""
        response = super().password_change(request, extra_context)
        changed = response.status_code == 302
        if changed and isinstance(request.user, User):
            context = RequestContext.of(request)
            note_password_change(user=request.user, by=request.user, context=context)
        return response
