"""What every request passes through."""

import json
import logging

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from authproject.observability.logging import JSONLineFormatter, TextLineFormatter
from authproject.web.context import client_address, request_context
from authproject.web.headers import HeadersMiddleware
from authproject.web.request_id import RequestIdMiddleware, current_request_id


def echo_request_id(request: HttpRequest) -> HttpResponse:
    return HttpResponse(current_request_id())


def request_id(offered: str) -> str:
    request = RequestFactory().get("/", headers={"X-Request-Id": offered})
    response = RequestIdMiddleware(echo_request_id)(request)
    assert response.content.decode() == response["X-Request-Id"]
    return response["X-Request-Id"]


def test_takes_over_a_sane_request_id() -> None:
    assert request_id("0f5a-41.b_7") == "0f5a-41.b_7"


@pytest.mark.parametrize("offered", ["", "short", "x" * 65, "with space", 'quote"quote', "é" * 10])
def test_makes_its_own_for_any_other(offered: str) -> None:
    made = request_id(offered)
    assert made != offered
    assert len(made) == 32


def test_logs_neither_query_nor_headers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="authproject.request")
    headers = {"Authorization": "Bearer tok-secret"}
    RequestIdMiddleware(echo_request_id)(RequestFactory().get("/x?code=q-secret", headers=headers))
    [record] = caplog.records
    line = JSONLineFormatter().format(record)
    assert "secret" not in line
    assert json.loads(line)["path"] == "/x"


@pytest.mark.parametrize("break_", ["%0a", "%0d", "%1b[2J", "%c2%85", "%e2%80%a8"])
def test_a_path_begins_no_line_of_its_own(caplog: pytest.LogCaptureFixture, break_: str) -> None:
    caplog.set_level(logging.INFO, logger="authproject.request")
    RequestIdMiddleware(echo_request_id)(RequestFactory().get(f"/x{break_}CRITICAL forged"))
    [record] = caplog.records
    line = TextLineFormatter("%(levelname)s %(message)s").format(record)
    assert line.isprintable()
    assert line.startswith("INFO GET /x\\")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.66, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.66, 203.0.113.9, 192.0.2.7", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "<script>", "192.0.2.1"),
        (1, "unknown", "192.0.2.1"),
        (1, "203.0.113.9:5678", "203.0.113.9"),
        (1, "[2001:db8::9]:443", "2001:db8::9"),
        (1, "[2001:db8::9]", "2001:db8::9"),
        (1, "2001:db8::9", "2001:db8::9"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "[::ffff:203.0.113.9]:5678", "203.0.113.9"),
        (1, "fe80::1%" + "z" * 60, "192.0.2.1"),
        (1, "203.0.113.9:5678:1", "192.0.2.1"),
    ],
)
def test_believes_only_its_own_proxies(
    settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory(REMOTE_ADDR="192.0.2.1").get(
        "/", headers={"X-Forwarded-For": forwarded}
    )
    assert client_address(request) == address


@pytest.mark.parametrize(
    ("peer", "address"), [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", ""), ("", "")]
)
def test_reads_the_address_of_a_direct_caller(peer: str, address: str) -> None:
    assert client_address(RequestFactory(REMOTE_ADDR=peer).get("/")) == address


def test_keeps_only_the_printable_part_of_an_agent() -> None:
    request = RequestFactory().get("/", headers={"User-Agent": "Mo\x1bz" + "x" * 500})
    agent = request_context(request).user_agent
    assert agent.startswith("Mozx")
    assert len(agent) == 300


@pytest.mark.parametrize(
    ("path", "cached"), [("/api/v1/me", "no-store"), ("/.well-known/jwks.json", None)]
)
def test_lets_no_one_store_answers_that_are_not_public(path: str, cached: str | None) -> None:
    response = HeadersMiddleware(lambda request: HttpResponse())(RequestFactory().get(path))
    assert response.headers.get("Cache-Control") == cached
    assert "camera=()" in response["Permissions-Policy"]
