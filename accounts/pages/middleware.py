"""Who is signed in in the browser that asks: looked up when a view first wants to know."""

from asgiref.sync import sync_to_async
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.pages.browser import person_of


class BrowserSessionMiddleware(AuthenticationMiddleware):
    """Django's, which knows a place that ended, ran out, or sat idle, and a disabled person.

    Requests that bring a token never get here: they cost no statement.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Put `request.user` there, lazily, and its asynchronous twin."""
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: person_of(request))  # type: ignore[assignment] # lazy, as Django's own
        request.auser = sync_to_async(lambda: person_of(request))
