"""Turn every error into its answer: the only place that knows both domain errors and HTTP.

`/oauth/` answers RFC 6749 §5.2 errors, other machine addresses RFC 9457 problem documents, the rest
an error page. No answer carries a stack trace, a header or a value of the request.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.api.headers import BASIC_CHALLENGE, BEARER_CHALLENGE
from accounts.errors import AuthenticationTooOld, InsufficientScope, RateLimited
from authproject.observability.counting import count_refusal
from authproject.web.headers import NO_STORE
from authproject.web.pointers import field_errors
from authproject.web.request_id import current_request_id
from batchtokens.errors import NotSealedYet
from batchtokens_verifier.errors import FieldError, InvalidFieldsError, ProblemError, TokenNotValid

PROBLEM_TYPE = "application/problem+json"
MACHINE_PREFIXES = (
    "/api/",
    "/.well-known/",
    "/token",
    "/users/me",
    "/livez",
    "/readyz",
    "/metrics",
)
OAUTH_PREFIX = "/oauth/"
RETRY_AFTER_SECONDS = "2"
# RFC 6749 §5.2 allows %x20-21 / %x23-5B / %x5D-7E in error_description.
OAUTH_TEXT = {ord('"'): "'", ord("\\"): "/"}

logger = logging.getLogger(__name__)

# What is answered without a domain error behind it: code → status, OAuth error.
PLAIN_CODES = {
    "invalid": (HTTPStatus.BAD_REQUEST, "invalid_request"),
    "not_authenticated": (HTTPStatus.UNAUTHORIZED, "invalid_client"),
    "permission_denied": (HTTPStatus.FORBIDDEN, "access_denied"),
    "csrf_failed": (HTTPStatus.FORBIDDEN, "access_denied"),
    "not_found": (HTTPStatus.NOT_FOUND, "invalid_request"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "invalid_request"),
    "not_acceptable": (HTTPStatus.NOT_ACCEPTABLE, "invalid_request"),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
    "server_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "server_error"),
    "unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "temporarily_unavailable"),
}


@dataclass(frozen=True)
class Problem:
    """One error as it is answered; `members` are what its class adds to the document."""

    status: int
    code: str
    title: str
    detail: str = ""
    errors: list[FieldError] = field(default_factory=list)
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    oauth_error: str = "invalid_request"


def problem_of(error: BaseException) -> Problem | None:
    """Return the problem that `error` is, or None for what nobody expected."""
    match error:
        case ProblemError():
            return _of_domain_error(error)
        case drf.APIException():
            return _of_drf_error(error)
        case OperationalError() | InterfaceError():
            logger.warning("the database did not answer: %s", type(error).__name__)
            return plain("unavailable", "The database did not answer in time.")
        case Http404():
            return plain("not_found")
        case PermissionDenied():
            return plain("permission_denied")
        case BadRequest() | SuspiciousOperation():
            return plain("invalid")
        case _:
            return None


def plain(code: str, detail: str = "") -> Problem:
    """Return the problem of one of PLAIN_CODES."""
    status, oauth_error = PLAIN_CODES[code]
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if code == "unavailable" else {}
    return Problem(status, code, status.phrase, detail, headers=headers, oauth_error=oauth_error)


def _of_domain_error(error: ProblemError) -> Problem:
    if isinstance(error, TokenNotValid):
        logger.info("token refused", extra={"code": error.code, "reason": error.reason})
    return Problem(
        error.status,
        error.code,
        error.title.rstrip("."),
        error.detail,
        errors=_errors_of(error),
        members=error.members(),
        headers=_headers_of(error),
        oauth_error=error.oauth_error,
    )


def _headers_of(error: ProblemError) -> dict[str, str]:
    match error:
        case RateLimited():
            return {
                "Retry-After": str(error.retry_after),
                "RateLimit": f'"{error.policy}";r=0;t={error.retry_after}',
                "RateLimit-Policy": f'"{error.policy}";q={error.limit};w={error.window}',
            }
        case InsufficientScope():
            return {"WWW-Authenticate": _bearer_challenge(error)}
    if error.status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": _bearer_challenge(error)}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE or isinstance(error, NotSealedYet):
        return {"Retry-After": RETRY_AFTER_SECONDS}
    return {}


def _errors_of(error: ProblemError) -> list[FieldError]:
    if isinstance(error, InvalidFieldsError):
        return error.errors
    if error.pointer:
        return [FieldError(error.pointer, error.code, error.detail or error.title)]
    return []


def _bearer_challenge(error: Exception) -> str:
    """Return the RFC 6750 §3 challenge; without a token presented it names no error."""
    if isinstance(error, AuthenticationTooOld):  # RFC 9470 §3
        asked = ", ".join(f'{name}="{value}"' for name, value in error.members().items())
        return f'{BEARER_CHALLENGE}, error="{error.code}", {asked}'
    if isinstance(error, InsufficientScope):
        return f'{BEARER_CHALLENGE}, error="insufficient_scope", scope="{error.scope}"'
    if isinstance(error, TokenNotValid | drf.AuthenticationFailed):
        return f'{BEARER_CHALLENGE}, error="invalid_token"'
    return BEARER_CHALLENGE


def _of_drf_error(error: drf.APIException) -> Problem:
    match error:
        case drf.ValidationError():
            return _invalid(field_errors(error.detail))
        case drf.ParseError():
            return _invalid([FieldError("", "invalid", str(error.detail))])
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            problem = plain("not_authenticated", "Send a valid credential.")
            return replace(problem, headers={"WWW-Authenticate": _bearer_challenge(error)})
        case _:
            code = str(error.get_codes())
            return plain(code if code in PLAIN_CODES else "invalid", str(error.detail))


def _invalid(errors: list[FieldError]) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "invalid", "Some fields are not valid", errors=errors)


def as_document(problem: Problem) -> dict[str, Any]:
    """Return the RFC 9457 document."""
    document: dict[str, Any] = {
        "type": f"urn:authproject:problem:{problem.code}",
        "title": problem.title,
        "status": int(problem.status),
        "detail": problem.detail or f"{problem.title}.",
        "code": problem.code,
        "request_id": current_request_id(),
    }
    if problem.errors:
        document["errors"] = [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail}
            for error in problem.errors
        ]
    return document | dict(problem.members)


def as_oauth_error(problem: Problem) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, body and headers of the RFC 6749 §5.2 answer."""
    first = problem.errors[0] if problem.errors else FieldError("", "", "")
    text = problem.detail or first.detail or problem.title
    shown = f"{first.pointer}: {text}".removeprefix(": ").translate(OAUTH_TEXT)
    body = {
        "error": problem.oauth_error,
        "error_description": shown.encode("ascii", "replace").decode("ascii"),
        **problem.members,
    }
    headers = dict(NO_STORE)
    if problem.oauth_error == "invalid_client":
        return HTTPStatus.UNAUTHORIZED, body, headers | {"WWW-Authenticate": BASIC_CHALLENGE}
    headers |= {
        name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"
    }
    # RFC 6749 §5.2: refusals are 400, whatever status the same code has at the REST interface.
    refused = problem.status in {401, 403, 409, 422}
    return (HTTPStatus.BAD_REQUEST if refused else problem.status), body, headers


def respond(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the answer in the form that the address's callers expect, and count it."""
    count_refusal(request, problem.code)
    if request.path.startswith(OAUTH_PREFIX):
        status, body, headers = as_oauth_error(problem)
        return JsonResponse(body, status=status, headers=headers)
    if request.path.startswith(MACHINE_PREFIXES):
        return JsonResponse(
            as_document(problem),
            status=problem.status,
            headers=dict(problem.headers),
            content_type=PROBLEM_TYPE,
        )
    return _page(problem)


def _page(problem: Problem) -> HttpResponse:
    """Return the error page; it is rendered without the request, so that it cannot fail with it."""
    context = {"problem": problem, "request_id": current_request_id()}
    return HttpResponse(
        render_to_string("error.html", context),
        status=problem.status,
        headers=dict(problem.headers),
    )


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Answer an exception that a DRF view let out; None lets Django log it and answer 500."""
    problem = problem_of(error)
    if problem is None:
        return None
    set_rollback()
    request = context["request"]
    browsable = getattr(getattr(request, "accepted_renderer", None), "format", "") == "api"
    if browsable and not request.path.startswith(OAUTH_PREFIX):
        return Response(as_document(problem), problem.status, headers=dict(problem.headers))
    return respond(request, problem)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 (Django's handler400)."""
    return respond(request, plain("invalid"))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 (Django's handler403)."""
    return respond(request, plain("permission_denied"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was not sent from this site's own page (CSRF_FAILURE_VIEW)."""
    detail = "The form was out of date. Go back, reload the page and send it again."
    return respond(request, plain("csrf_failed", detail))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 (Django's handler404)."""
    return respond(request, plain("not_found"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 (Django's handler500), or 503 where the cause was the database."""
    cause = sys.exception()
    return respond(request, (problem_of(cause) if cause else None) or plain("server_error"))
