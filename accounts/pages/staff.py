"""The admin's own pages about the person who is there: sign-in, sign-out and password.

Not in `accounts.admin`: Django makes the site before any model is registered with it.
"""

from typing import Any, cast

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from accounts.forms.staff import StaffPasswordForm, StaffSignInForm
from accounts.models import Acr, RequestContext
from accounts.pages.browser import place_of, sign_in_browser, sign_out_browser


class StaffSignInView(LoginView):
    """Password, and code where the person has an authenticator app."""

    form_class = StaffSignInForm
    template_name = "admin/login.html"

    def form_valid(self, form: Any) -> HttpResponseRedirect:
        """Sign in who has shown all factors that are wanted."""
        sign_in_browser(self.request, user=form.get_user(), amr=form.amr)
        return HttpResponseRedirect(self.get_success_url())


class StaffPasswordView(PasswordChangeView):
    """The password of who is there; this browser gets a new key."""

    form_class = StaffPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        """Let the form know where guesses come from, and which place is to stay."""
        place, context = place_of(self.request), RequestContext.of(self.request)
        return {**super().get_form_kwargs(), "keep": place and place.pk, "context": context}


class StaffSite(AdminSite):
    """Stock admin, where a second factor is shown and the log sees who comes and goes."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Let staff in, outside development only who signed in with a second factor."""
        if not super().has_permission(request):
            return False
        place = place_of(request)
        sure = place is not None and place.acr == Acr.TWO_FACTORS
        return sure or not settings.STAFF_SHOW_SECOND_FACTOR

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form, or the admin to who is there already."""
        index = reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(index)
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        view = StaffSignInView.as_view(extra_context=context, next_page=index)
        return cast("HttpResponse", view(request))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Keep out who may not come in, and let out who may not stay, too."""
        if view == self.logout:
            return csrf_protect(never_cache(view))
        return super().admin_view(view, cacheable)

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """End the browser's place with its session."""
        if request.method == "POST":
            sign_out_browser(request)
        return super().logout(request, extra_context)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Change one's own password; this browser alone stays signed in."""
        request.current_app = self.name
        view = StaffPasswordView.as_view(
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return cast("TemplateResponse", view(request))
