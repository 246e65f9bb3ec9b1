"""The page behind every e-mail's link: a code, for a reset also a new password, and a button.

The code stands in the address's fragment, which browsers send to nobody; a script puts it into the
form, and without scripts it is pasted. Looking changes nothing: programs open links in mail, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.errors import LinkNotValid
from accounts.forms.links import LinkForm, NewPasswordForm
from accounts.limits import ANONYMOUS, EXPENSIVE, Limit
from accounts.models import LinkPurpose, RequestContext
from accounts.services.change_email import confirm_email_change
from accounts.services.freeze_account import WAY_BACK, freeze_account
from accounts.services.limit_tries import limit_tries
from accounts.services.reset_password import reset_password
from accounts.services.verify_email import verify_email
from accounts.services.write_email import link_slug
from batchtokens_verifier.errors import InvalidFieldsError


@dataclass(frozen=True)
class LinkPage:
    """What one kind of link does, in words and in deed.  limits: those of the API's address."""

    title: str
    button: str
    done: str
    act: Callable[..., object]
    form: type[forms.Form] = LinkForm
    limits: tuple[Limit, ...] = (ANONYMOUS,)
    lead: str = ""


PAGES = {
    link_slug(purpose): page
    for purpose, page in {
        LinkPurpose.VERIFY_EMAIL: LinkPage(
            "Verify your e-mail address", "Verify", "Your address is verified.", verify_email
        ),
        LinkPurpose.CHANGE_EMAIL: LinkPage(
            "Confirm your new e-mail address",
            "Confirm",
            "Your account has the new address now.",
            confirm_email_change,
        ),
        LinkPurpose.RESET_PASSWORD: LinkPage(
            "Choose a new password",
            "Set the password",
            "Your password is set. Everybody who was signed in is signed out.",
            reset_password,
            NewPasswordForm,
            limits=(EXPENSIVE, ANONYMOUS),
        ),
        LinkPurpose.NOT_ME: LinkPage(
            "This wasn't me",
            "Lock the account",
            WAY_BACK,
            freeze_account,
            lead="This signs everybody out, ends API keys and links to other providers, and lets"
            " nobody in until the password is reset by e-mail.",
        ),
    }.items()
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def link_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the form, or do what it asks for.  Raises RateLimited."""
    page = PAGES.get(slug)
    if page is None:
        raise Http404
    origin = RequestContext.of(request)
    for limit in page.limits if request.method == "POST" else ():
        limit_tries(limit, context=origin)
    form = page.form(request.POST or None)
    done = form.is_valid() and _act(page, form, origin)
    status = 400 if form.is_bound and not done else 200
    context = {"page": page, "form": form, "done": done}
    return render(request, "accounts/link.html", context, status=status)


def _act(page: LinkPage, form: forms.Form, context: RequestContext) -> bool:
    """Do it; what is refused stands beside its field."""
    given: dict[str, Any] = form.cleaned_data
    try:
        page.act(**given, context=context)
    except LinkNotValid as refusal:
        form.add_error("token", refusal.title)
    except InvalidFieldsError as refusal:
        for error in refusal.errors:
            form.add_error(error.pointer.strip("/"), error.detail)
    return form.is_valid()
