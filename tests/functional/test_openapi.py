"""The API's description (OpenAPI 3.1) and its pages: complete, true, without warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, get_resolver
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from authproject.web.browsable import PageRenderer
from batchtokens.services.issuing.issue import Issued
from tests import mandates
from tests.rest import OPERATIONS, REDEMPTIONS, Caller, person, redeem

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html"}
METHODS = {"get", "post", "put", "patch", "delete"}
WITH_IDEMPOTENCY_KEY = {"operations_create", "redemptions_create", "auth_token_refresh_create"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer = Client().get("/api/v1/schema", {"format": "json"})
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


@pytest.fixture
def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return list(operations_of(document))


def operations_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (operation for method, operation in path.items() if method in METHODS)


def test_is_generated_and_valid_without_a_warning(tmp_path: Any) -> None:
    file = tmp_path / "schema.yaml"

    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)

    assert yaml.safe_load(file.read_text())["openapi"] == "3.1.0"


def test_names_every_address_of_the_api(document: dict[str, Any]) -> None:
    views = {
        re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", f"/{pattern.pattern}")
        for included in get_resolver().url_patterns
        for pattern in getattr(included, "url_patterns", [])
        if isinstance(pattern, URLPattern) and str(pattern.pattern).startswith("api/v1/")
    }

    assert views
    assert views <= document["paths"].keys()


def test_names_every_way_to_authenticate(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "apiKey": "apiKey",
        "bearer": "http",
        "client": "http",
    }
    assert schemes["apiKey"]["name"] == "X-API-Key"


def test_says_what_each_operation_needs(operations: list[dict[str, Any]]) -> None:
    for operation in operations:
        assert "Needs " in operation["description"], operation["operationId"]


@pytest.mark.parametrize(
    ("operation", "schemes", "scope"),
    [
        ("me_retrieve", {"bearer", "apiKey"}, "profile"),
        ("me_api_keys_list", {"bearer", "apiKey"}, "account"),
        ("me_api_keys_create", {"bearer"}, "account"),
        ("me_api_keys_destroy", {"bearer"}, "account"),
        ("queue_create", {"bearer", "client", "apiKey"}, "token_exchange"),
        ("redemptions_create", {"bearer", "client", "apiKey"}, "redeem"),
    ],
)
def test_lists_the_scope_with_each_scheme(
    operations: list[dict[str, Any]], operation: str, schemes: set[str], scope: str
) -> None:
    (found,) = (each for each in operations if each["operationId"] == operation)

    listed = {name: scopes for way in found["security"] for name, scopes in way.items()}
    assert listed == {name: [scope] for name in schemes}


def test_asks_people_for_tokens_only(operations: list[dict[str, Any]]) -> None:
    (found,) = (each for each in operations if each["operationId"] == "operations_create")

    assert found["security"] == [{"bearer": []}]
    assert "meta-scope" in found["description"]


def test_describes_every_refusal_as_a_problem(operations: list[dict[str, Any]]) -> None:
    for operation in operations:
        refusals = {c: r for c, r in operation["responses"].items() if not c.startswith("2")}

        assert "default" in refusals
        for refusal in refusals.values():
            assert list(refusal["content"]) == ["application/problem+json"]


def test_describes_the_idempotency_key(operations: list[dict[str, Any]]) -> None:
    keyed = {
        operation["operationId"]
        for operation in operations
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }

    assert keyed >= WITH_IDEMPOTENCY_KEY


def test_describes_pages(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    parameters = {o["operationId"]: o.get("parameters", []) for o in operations}
    lists = [ps for ps in parameters.values() if any(p["name"] == "cursor" for p in ps)]

    assert len(lists) >= 4
    for each in lists:
        sizes = [p["schema"] for p in each if p["name"] == "page_size"]
        assert [(size["minimum"], size["maximum"]) for size in sizes] == [(1, 100)]
    page = document["components"]["schemas"]["PaginatedOperationOutputList"]
    assert page["properties"].keys() == {"next", "previous", "results"}


def test_shows_the_docs_page_under_the_strict_policy(client: Client) -> None:
    answer = client.get("/api/v1/docs")

    assert answer.status_code == 200
    assert b'id="swagger-ui"' in answer.content
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


class TestBrowsablePages:
    """Development renders every address as a page, too."""

    @pytest.fixture(autouse=True)
    def development(self, monkeypatch: pytest.MonkeyPatch) -> None:
        renderers = [JSONRenderer, PageRenderer]
        monkeypatch.setattr(APIView, "renderer_classes", renderers)

    def assert_is_page(self, answer: Any, status: int) -> None:
        assert answer.status_code == status
        assert answer.headers["Content-Type"].startswith("text/html")
        assert b"<style" not in answer.content
        assert b" style=" not in answer.content

    @pytest.mark.parametrize("part", ["", "/timeline"])
    def test_show_an_operation(self, alice: Caller, operation: str, part: str) -> None:
        self.assert_is_page(alice.client.get(operation + part, headers=signed(alice)), 200)

    @pytest.mark.parametrize(
        "path", ["/api/v1/me", "/api/v1/operation-types", OPERATIONS, f"{OPERATIONS}?page_size=1"]
    )
    def test_show_lists(self, alice: Caller, operation: str, path: str) -> None:
        self.assert_is_page(alice.client.get(path, headers=signed(alice)), 200)

    @pytest.mark.parametrize("verb", ["hold", "resume", "cancel"])
    def test_show_a_form_where_only_post_is_allowed(
        self, alice: Caller, operation: str, verb: str
    ) -> None:
        page = alice.client.get(f"{operation}/{verb}", headers=signed(alice))

        self.assert_is_page(page, 405)
        assert b'<textarea name="_content"' in page.content

    @pytest.mark.parametrize("name", ["register", "token", "token/refresh", "token/verify"])
    def test_show_the_sign_in_addresses(self, client: Client, name: str) -> None:
        self.assert_is_page(client.get(f"/api/v1/auth/{name}", headers=HTML), 405)

    def test_show_the_queue_and_redemptions(self, executor: Caller, issued: Issued) -> None:
        redemption = redeem(executor, issued).json()["redemption_id"]

        pages = [f"{REDEMPTIONS}/{redemption}", REDEMPTIONS, "/api/v1/queue"]
        answers = [executor.client.get(page, headers=signed(executor)) for page in pages]

        for answer, status in zip(answers, (200, 405, 403), strict=True):
            self.assert_is_page(answer, status)

    def test_show_a_refusal(self, world: mandates.Savings, client: Client) -> None:
        self.assert_is_page(client.get(OPERATIONS, headers=HTML), 401)
        reader = person(world.alice, scope="profile")
        missing = reader.client.get(f"{OPERATIONS}/op_1", headers=signed(reader))
        self.assert_is_page(missing, 404)


def signed(caller: Caller) -> dict[str, str]:
    return {**caller.headers, **HTML}
