"""The router's own refusals: bounded bodies, strict JSON, no stack trace for a passing fault."""

import io
import json
import sqlite3
from typing import Any

import pytest

from examples.savings.web import MAX_BODY_BYTES, Application, Request, Response
from tests.unit.savings.wsgi import call


def echo(request: Request) -> Response:
    return Response.json(200, request.json_object())


def locked(request: Request) -> Response:
    raise sqlite3.OperationalError("database is locked")


class SlowBody(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise TimeoutError


APPLICATION = Application(
    {("POST", "/echo"): echo, ("GET", "/locked"): locked}, transient=(sqlite3.OperationalError,)
)


def test_answers_json_that_nobody_stores() -> None:
    answer = call(APPLICATION, "POST", "/echo", b'{"a": "b"}')
    assert (answer.status, answer.json) == (200, {"a": "b"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/echo", 405)]
)
def test_refuses_unknown_addresses_and_methods(method: str, path: str, status: int) -> None:
    answer = call(APPLICATION, method, path)
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"\xff"])
def test_refuses_a_body_that_is_no_strict_json_object(body: bytes) -> None:
    answer = call(APPLICATION, "POST", "/echo", body)
    assert (answer.status, answer.code) == (400, "invalid")


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_bounds_the_body(more: int, status: int) -> None:
    body = json.dumps({"a": "b" * (MAX_BODY_BYTES - len('{"a": ""}') + more)}).encode()
    assert call(APPLICATION, "POST", "/echo", body).status == status


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"CONTENT_LENGTH": "x"}, 400),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"CONTENT_LENGTH": "9" * 5000}, 413),
        ({"CONTENT_LENGTH": "3"}, 400),
        ({"wsgi.input": SlowBody()}, 408),
    ],
)
def test_refuses_a_body_that_does_not_come_as_announced(
    environ: dict[str, Any], status: int
) -> None:
    assert call(APPLICATION, "POST", "/echo", b"{}", **environ).status == status


def test_a_passing_fault_is_told_as_such_and_no_more() -> None:
    answer = call(APPLICATION, "GET", "/locked")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "locked" not in answer.json["detail"]
