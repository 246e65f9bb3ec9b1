"""Refuse input that no endpoint can use, and answer what plain views raise."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from authproject.problems import plain, problem_of, respond

FORM = "application/x-www-form-urlencoded"


class FaultMiddleware:
    """Stand between Django and the views: NUL bytes in, domain errors out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request`, unless it carries a NUL, which PostgreSQL stores nowhere."""
        if _has_nul(request):
            raise BadRequest("NUL in the request")
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            return _named(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what a plain view raised; None leaves the unexpected to Django's 500."""
        problem = problem_of(error)
        return None if problem is None else respond(request, problem)


def _named(request: HttpRequest, response: HttpResponseNotAllowed) -> HttpResponse:
    """Return Django's empty 405 as this product's error, with its Allow header."""
    named = respond(request, plain("method_not_allowed"))
    named.headers["Allow"] = response.headers["Allow"]
    return named


def _has_nul(request: HttpRequest) -> bool:
    """Look into path, query string and form body; JSON bodies are the parser's."""
    query = request.META.get("QUERY_STRING", "")
    if "\0" in request.path or "%00" in query:
        return True
    return request.content_type == FORM and (b"%00" in request.body or b"\0" in request.body)
