"""Pages, headers and errors as a browser or a client meets them."""

import re

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db

INLINE = re.compile(r"\sstyle=|<style>|<script>|\son[a-z]+=", re.IGNORECASE)


def test_the_start_page_leads_on() -> None:
    response = Client().get("/")
    assert response.status_code == 200
    assert b'href="/api/v1/docs"' in response.content
    assert b'href="/admin/"' in response.content


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/docs", "/admin/login/"])
def test_pages_obey_their_own_content_security_policy(path: str) -> None:
    response = Client().get(path)
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert INLINE.findall(response.content.decode()) == []


def test_the_api_pages_carry_the_nonce_of_their_policy() -> None:
    response = Client().get("/api/v1/docs")
    [nonce] = re.findall(r'<script nonce="([^"]+)"', response.content.decode())
    assert f"script-src 'self' 'nonce-{nonce}'" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/me"), ("PUT", "/oauth/token"), ("PUT", "/"), ("GET", "/api/v1/%00")],
)
def test_every_answer_is_hardened(method: str, path: str) -> None:
    response = Client().generic(method, path)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cache-Control"] == "no-store"
    assert len(response["X-Request-Id"]) == 32


def test_an_unknown_page_names_the_request() -> None:
    response = Client().get("/nothing", headers={"X-Request-Id": "request-0001"})
    assert response.status_code == 404
    assert b"<code>request-0001</code>" in response.content


def test_an_unknown_api_address_is_a_problem() -> None:
    response = Client().get("/api/v1/nothing", headers={"X-Request-Id": "request-0001"})
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["code"] == "not_found"
    assert response.json()["request_id"] == "request-0001"


def test_an_unknown_oauth_address_is_an_oauth_error() -> None:
    response = Client().get("/oauth/nothing")
    assert (response.status_code, response.json()["error"]) == (404, "invalid_request")


@pytest.mark.parametrize("path", ["/oauth/token", "/livez"])
def test_a_wrong_method_is_named_and_so_are_the_right_ones(path: str) -> None:
    response = Client().put(path)
    assert response.status_code == 405
    assert response["Allow"]
    assert response.json()


def test_a_body_of_the_wrong_type_is_415() -> None:
    response = Client().post("/api/v1/auth/token", b"<x/>", content_type="text/xml")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/api/v1/operations/%00", "/api/v1/me?x=%00"])
def test_a_nul_in_an_address_is_400(path: str) -> None:
    response = Client().get(path)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize("path", ["/oauth/token", "/token"])
def test_a_nul_in_a_form_is_400(path: str) -> None:
    form = "application/x-www-form-urlencoded"
    response = Client().post(path, "grant_type=x%00&username=a", content_type=form)
    assert response.status_code == 400


def test_a_nul_in_a_cookie_is_400() -> None:
    client = Client(raise_request_exception=False, headers={"Cookie": 'session="aaaaaaaaaa\\000b"'})
    assert client.get("/admin/").status_code == 400


@pytest.mark.parametrize("charset", ["punycode", "utf-16", "latin-1", "idna", "rot13", "nonsense"])
@pytest.mark.parametrize("path", ["/oauth/token", "/token", "/admin/login/", "/api/v1/auth/token"])
def test_a_body_that_is_not_utf_8_is_415(path: str, charset: str) -> None:
    form = f"application/x-www-form-urlencoded; charset={charset}"
    client = Client(raise_request_exception=False)
    assert client.generic("POST", path, b"username=a-b", form).status_code == 415


@pytest.mark.parametrize("charset", ["UTF-8", '"utf-8"'])
def test_utf_8_may_be_said(charset: str) -> None:
    form = f"application/x-www-form-urlencoded; charset={charset}"
    response = Client().post("/oauth/token", "grant_type=none", form)
    assert response.json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("length", ["ten", "-1", "1e3", "٣", "9" * 5000])
def test_a_length_that_is_no_number_is_400(length: str) -> None:
    client = Client(raise_request_exception=False)
    response = client.post("/token", b"", "application/json", CONTENT_LENGTH=length)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_a_host_that_is_not_ours_is_400() -> None:
    response = Client().get("/api/v1/me", headers={"Host": "evil.example"})
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_a_form_without_its_csrf_token_is_a_403_page() -> None:
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "alice"})
    assert response.status_code == 403
    assert b"reload the page" in response.content


def test_an_unexpected_error_is_logged_once_and_shows_nothing_of_the_inside(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("authproject.observability.health.PARTS", {"database": _burst})
    response = Client(raise_request_exception=False).get("/readyz")
    assert (response.status_code, response.json()["code"]) == (500, "server_error")
    assert "inside" not in response.content.decode()
    assert [record.name for record in caplog.records if record.exc_info] == ["django.request"]


def test_a_database_that_is_away_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproject.observability.health.readiness", _away)
    response = Client().get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "2"


def _burst() -> str:
    raise ZeroDivisionError("the inside")


def _away() -> dict[str, str]:
    raise OperationalError("connection refused")


def test_debug_is_off_in_tests(settings: Settings) -> None:
    assert settings.DEBUG is False
