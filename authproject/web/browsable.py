"""The browsable pages, with the admin's sign-in; in development only."""

from typing import Any

from django.conf import settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request

from accounts.models import FIRST_PARTY, User
from accounts.pages.browser import place_of
from accounts.scopes import USER_SCOPES, meta_scopes
from accounts.tokens.access import Grant
from batchtokens_verifier.errors import ProblemError


class BrowserSession(SessionAuthentication):
    """A signed-in browser opens what a token with every scope of its person would."""

    def authenticate(self, request: Request) -> tuple[User, Grant] | None:
        """Return the signed-in person; forms must carry their CSRF token."""
        signed_in = super().authenticate(request)
        if signed_in is None:
            return None
        place = place_of(request._request)  # noqa: SLF001 - as DRF's own authentication does
        if place is None:
            return None
        return place.user, Grant(
            subject=place.user,
            scope=frozenset({*USER_SCOPES, *meta_scopes()}),
            client_id=FIRST_PARTY,
            audience=settings.ISSUER_URL,
            session_id=place.public_id,
            # This browser's own: a sign-in elsewhere makes nothing fresh here.
            auth_time=place.auth_time,
            acr=place.acr,
            amr=tuple(place.amr),
        )


class PageRenderer(BrowsableAPIRenderer):
    """The page of an address, with the forms that its reader may send.

    To find those it asks the view's permissions; DRF's own knows no domain errors, and would fail.
    """

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """Return the form of a method, None where the reader may not send it."""
        try:
            return super().get_rendered_html_form(data, view, method, request)
        except ProblemError:
            return None

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """Return the form for a raw body, None where the reader may not send it."""
        try:
            return super().get_raw_data_form(data, view, method, request)
        except ProblemError:
            return None
