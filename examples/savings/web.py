"""Just enough WSGI to speak JSON: a router, bounded bodies, problem+json (RFC 9457).

It knows nothing of savings or tokens: put your own framework in its place.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses as reason_phrases
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import InvalidOperation, ProblemError

MAX_BODY_BYTES = 64 * 1024
RETRY_AFTER = "5"  # seconds
RELAYED_HEADERS = ("WWW-Authenticate", "Retry-After")
# RFC 6750, section 2.1: the scheme, one space, a b64token, which is never trimmed or repaired.
BEARER = re.compile(r"(?i:bearer) ([A-Za-z0-9\-._~+/]+=*)")

logger = logging.getLogger("savings")


class WebError(ProblemError):
    """A refusal in this service's own words; `challenge` is its WWW-Authenticate header."""

    challenge = ""


class InvalidRequest(WebError):
    code = "invalid"
    status = HTTPStatus.BAD_REQUEST
    title = "The request is not valid."


class TokenMissing(WebError):
    code = "not_authenticated"
    status = HTTPStatus.UNAUTHORIZED
    title = "A bearer token is needed."
    challenge = "Bearer"


class InvalidToken(WebError):
    code = "token_not_valid"
    status = HTTPStatus.UNAUTHORIZED
    title = "The bearer token is not valid here."
    challenge = 'Bearer error="invalid_token"'


class NotFound(WebError):
    code = "not_found"
    status = HTTPStatus.NOT_FOUND
    title = "There is nothing here."


class MethodNotAllowed(WebError):
    code = "method_not_allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    title = "This address does not take that method."


class RequestTimedOut(WebError):
    code = "request_timeout"
    status = HTTPStatus.REQUEST_TIMEOUT
    title = "The body did not arrive in time."


class LengthRequired(WebError):
    code = "length_required"
    status = HTTPStatus.LENGTH_REQUIRED
    title = "Send the body with a Content-Length."


class BodyTooLarge(WebError):
    code = "body_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = f"The body is larger than {MAX_BODY_BYTES} bytes."


class BadGateway(WebError):
    code = "bad_gateway"
    status = HTTPStatus.BAD_GATEWAY
    title = "A service behind this one gave an answer that was not expected."


class TryLater(WebError):
    """Nothing was decided: the same request may come again."""

    code = "try_later"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "This cannot be done at the moment."


@dataclass(frozen=True)
class Request:
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json_object(self) -> dict[str, Any]:
        """Parse the body strictly. Raises InvalidRequest."""
        try:
            value = parse_json(self.body, max_bytes=MAX_BODY_BYTES)
        except InvalidOperation as error:
            raise InvalidRequest(error.detail, pointer=error.pointer) from error
        if not isinstance(value, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return value

    def bearer_token(self) -> str:
        """Return the bearer token exactly as sent. Raises TokenMissing."""
        match = BEARER.fullmatch(self.headers.get("authorization", ""))
        if match is None:
            raise TokenMissing
        return match[1]


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, value: Mapping[str, Any]) -> "Response":
        return cls(status, json.dumps(value).encode())

    @classmethod
    def problem(cls, error: ProblemError) -> "Response":
        """Word a refusal as RFC 9457 does, with the offending field when there is one."""
        value: dict[str, Any] = {"type": "about:blank", "title": error.title}
        value |= {"status": error.status, "detail": str(error), "code": error.code}
        if error.pointer:
            value["errors"] = [{"pointer": error.pointer, "code": error.code, "detail": str(error)}]
        headers = {}
        if isinstance(error, WebError) and error.challenge:
            headers["WWW-Authenticate"] = error.challenge
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = RETRY_AFTER
        body = json.dumps({**value, **error.members()}).encode()
        return cls(error.status, body, "application/problem+json", headers)

    @classmethod
    def relayed(cls, answer: httpx.Response) -> "Response":
        """Answer what another service answered."""
        described = answer.headers.get("Content-Type", "application/json")
        kept = {name: answer.headers[name] for name in RELAYED_HEADERS if name in answer.headers}
        return cls(answer.status_code, answer.content, described, kept)

    @property
    def status_line(self) -> str:
        return f"{self.status:d} {reason_phrases.get(self.status, 'Unknown')}"

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        described = {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        return list({**described, "Cache-Control": "no-store", **self.headers}.items())


Handler = Callable[[Request], Response]


@dataclass(frozen=True)
class Application:
    """Routes (method, path) to a handler. `transient` errors become 503: the caller comes again."""

    routes: Mapping[tuple[str, str], Handler]
    transient: tuple[type[Exception], ...] = ()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        try:
            response = self._handler(method, path)(read_request(environ))
        except ProblemError as error:
            logger.info("%s %r refused: %s", method, path, error.code)
            response = Response.problem(error)
        except self.transient as error:
            logger.warning("%s %r not now: %s", method, path, type(error).__name__)
            response = Response.problem(TryLater())
        start_response(response.status_line, response.all_headers)
        return [response.body]

    def _handler(self, method: str, path: str) -> Handler:
        if handler := self.routes.get((method, path)):
            return handler
        raise MethodNotAllowed if any(path == known for _, known in self.routes) else NotFound


def json_answer(answer: httpx.Response) -> dict[str, Any]:
    """Read a service's JSON object. Raises TryLater where it was too busy, else BadGateway."""
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
        raise TryLater
    try:
        value = parse_json(answer.content)
    except InvalidOperation as error:
        raise BadGateway from error
    if not isinstance(value, dict):
        raise BadGateway
    return value


def read_request(environ: WSGIEnvironment) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return Request(headers, read_body(environ))


def read_body(environ: WSGIEnvironment) -> bytes:
    """Read at most MAX_BODY_BYTES, and exactly as many as were announced."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequired
    announced = environ.get("CONTENT_LENGTH") or "0"
    if not re.fullmatch(r"[0-9]+", announced):
        raise InvalidRequest("The Content-Length is not a number of bytes.")
    if len(announced) > 9 or int(announced) > MAX_BODY_BYTES:
        raise BodyTooLarge
    try:
        body: bytes = environ["wsgi.input"].read(int(announced))
    except TimeoutError as error:
        raise RequestTimedOut from error
    if len(body) != int(announced):
        raise InvalidRequest("The body ended early.")
    return body
