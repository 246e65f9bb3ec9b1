"""Refuse input that no endpoint can use, and answer what plain views raise."""

import re
from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from authproject.problems import plain, problem_of, respond
from authproject.web.parsers import FORM

_LENGTH = re.compile(r"[0-9]{0,18}")


class FaultMiddleware:
    """Stand between Django and the views: no NUL and no odd encoding in, domain errors out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request`, unless it is framed or encoded as none that this service reads."""
        if not _LENGTH.fullmatch(request.META.get("CONTENT_LENGTH") or ""):
            raise BadRequest("Content-Length is no number")
        if not _is_utf_8(request):
            return respond(request, plain("unsupported_media_type", "Send UTF-8."))
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


def _is_utf_8(request: HttpRequest) -> bool:
    """Tell whether the body is to be read as UTF-8: Django would take any codec that Python has."""
    charset = (request.content_params or {}).get("charset", "utf-8")
    return charset.lower() == "utf-8"


def _has_nul(request: HttpRequest) -> bool:
    """Look for what PostgreSQL stores nowhere, in path, query, cookies and form.

    JSON bodies are the parser's.
    """
    query = request.META.get("QUERY_STRING", "")
    if "\0" in request.path or "%00" in query:
        return True
    if any("\0" in value for value in request.COOKIES.values()):
        return True
    return request.content_type == FORM and (b"%00" in request.body or b"\0" in request.body)
