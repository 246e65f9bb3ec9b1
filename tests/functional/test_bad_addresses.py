"""Bad paths, queries, headers and forms: a 4xx problem, never a 500."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import factories, mandates
from tests.rest import OPERATIONS, QUEUE, REDEMPTIONS, Caller, code_of, job, pointers_of

pytestmark = pytest.mark.django_db

IDS = [
    "op_",
    "op_1",
    f"op_{'g' * 32}",
    f"OP_{'0' * 32}",
    f"op_{'A' * 32}",
    f"op_{'0' * 31}",
    f"op_{'0' * 33}",
    f"op_{'٠' * 32}",
    f"usr_{'0' * 32}",
    f"rdm_{'A' * 43}",
    "00000000-0000-0000-0000-000000000000",
    "1",
    "-1",
    "null",
    "' OR 1=1 --",
    "{public_id}",
    "..",
    "x" * 5000,
    "💸",
]


@pytest.mark.parametrize("identifier", IDS)
def test_finds_nothing_under_absurd_ids(alice: Caller, executor: Caller, identifier: str) -> None:
    name = quote(identifier, safe="")

    for caller, path in (
        (alice, f"{OPERATIONS}/{name}"),
        (alice, f"{OPERATIONS}/{name}/timeline"),
        (executor, f"{REDEMPTIONS}/{name}"),
    ):
        assert code_of(caller.get(path)) == (404, "not_found")
    for verb in ("hold", "resume", "cancel"):
        assert code_of(alice.post(f"{OPERATIONS}/{name}/{verb}")) == (404, "not_found")
    settled = executor.post(f"{REDEMPTIONS}/{name}/settle", {"attempt": 1})
    assert code_of(settled) == (404, "not_found")


@pytest.mark.parametrize("path", [f"{OPERATIONS}/%00", f"{REDEMPTIONS}/a%00b", "/api/v1/%ff"])
def test_refuses_bytes_that_are_no_text(alice: Caller, path: str) -> None:
    status, _ = code_of(alice.get(path))

    assert status in {400, 404}


def cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CURSORS = {
    "empty": "",
    "no base64": "%%%",
    "not a cursor": cursor("hello"),
    "no key": cursor("p=hello"),
    "offset of a word": cursor("o=x&p=12"),
    "offset": cursor(f"o={10**30}&p=x"),
    "negative offset": cursor("o=-5"),
    "NUL": cursor("p=a\0b"),
    "not UTF-8": base64.b64encode(b"p=\xff\xfe").decode(),
    "long": cursor("p=" + "9" * 4000),
    "reversed": cursor("r=x&o=x&p="),
}


@pytest.mark.parametrize("value", CURSORS.values(), ids=CURSORS.keys())
def test_points_at_a_bad_cursor(alice: Caller, operation: str, value: str) -> None:
    for path in (OPERATIONS, f"{operation}/timeline", "/api/v1/operation-types"):
        answer = alice.get(path, cursor=value)
        assert code_of(answer) == (400, "invalid")
        assert pointers_of(answer) == ["/cursor"]


@pytest.mark.parametrize("size", ["0", "-1", "101", "1e1", "", " 5", "٣", "x", "9" * 400, "1.0"])
def test_points_at_a_bad_page_size(alice: Caller, operation: str, size: str) -> None:
    for path in (OPERATIONS, f"{operation}/timeline", "/api/v1/operation-types"):
        answer = alice.get(path, page_size=size)
        assert code_of(answer) == (400, "invalid")
        assert pointers_of(answer) == ["/page_size"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "stauts"),
        ("status", "active,held"),
        ("status", "1"),
        ("type", "x" * 100),
    ],
)
def test_points_at_a_bad_filter(alice: Caller, name: str, value: str) -> None:
    answer = alice.get(OPERATIONS, **{name: value})

    assert code_of(answer) == (400, "invalid")
    assert pointers_of(answer) == [f"/{name}"]


def test_refuses_a_filter_that_it_does_not_know(alice: Caller) -> None:
    answer = alice.get(OPERATIONS, stauts="held")

    assert code_of(answer) == (400, "invalid")
    assert pointers_of(answer) == [""]


@pytest.mark.parametrize("query", ["status=%00", "type=a%00", "page_size=%00", "cursor=%00"])
def test_refuses_a_nul_in_a_query(alice: Caller, query: str) -> None:
    answer = alice.client.get(f"{OPERATIONS}?{query}", headers=alice.headers)

    assert code_of(answer)[0] == 400


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\tb"])
def test_refuses_a_bad_idempotency_key(
    alice: Caller, executor: Caller, issued: Any, key: str
) -> None:
    sent = {**executor.headers, "Idempotency-Key": key}

    answer = Caller(sent).post(REDEMPTIONS, job(issued))

    assert code_of(answer) == (400, "idempotency_key_missing")


CREDENTIALS: dict[str, Callable[[str], dict[str, str]]] = {
    "nonsense": lambda good: {"Authorization": "nonsense"},
    "no token": lambda good: {"Authorization": "Bearer"},
    "three words": lambda good: {"Authorization": "Bearer a b"},
    "no base64": lambda good: {"Authorization": "Basic %%%"},
    "no colon": lambda good: {"Authorization": "Basic YWJj"},
    "not UTF-8": lambda good: {"Authorization": "Basic //79"},
    "NUL": lambda good: {"Authorization": "Basic AGE6Yg=="},
    "unknown scheme": lambda good: {"Authorization": "Digest a=b"},
    "huge": lambda good: {"Authorization": "Bearer " + "a" * 60_000},
    "bad key": lambda good: {"X-API-Key": "ak_live_x"},
    "long key": lambda good: {"X-API-Key": "x" * 20_000},
    "key with NUL": lambda good: {"X-API-Key": "ak_live_\0"},
    "key of other letters": lambda good: {"X-API-Key": "äöü"},
    "two credentials": lambda good: {"Authorization": good, "X-API-Key": "ak_live_x"},
}


@pytest.mark.parametrize("name", CREDENTIALS.keys())
def test_refuses_bad_credentials(world: mandates.Savings, name: str) -> None:
    good = factories.bearer(factories.access_token_for(world.alice))["Authorization"]
    caller = Caller(CREDENTIALS[name](good))

    for answer in (caller.get("/api/v1/me"), caller.get(OPERATIONS), caller.post(QUEUE, {})):
        assert code_of(answer)[0] in {400, 401}


FORMS = {
    "empty": b"",
    "no values": b"username&password",
    "bytes": bytes(range(1, 256)),
    "twice": b"username=alice&username=bob&password=x",
    "NUL": b"username=a%00b&password=x",
    "half an escape": b"username=%&password=%zz",
    "surrogate": b"username=%ED%A0%80&password=x",
    "long": b"username=" + b"a" * 5000 + b"&password=x",
    "huge": b"username=" + b"a" * 2**20,
    "many": b"&".join(b"x%d=1" % number for number in range(2000)),
    "scope": b"username=alice&password=x&scope=%22%5C",
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("path", ["/token", "/token/refresh"])
def test_refuses_bad_forms(path: str, body: bytes) -> None:
    client = Client(raise_request_exception=False)

    answer = client.post(path, body, "application/x-www-form-urlencoded")

    assert 400 <= code_of(answer)[0] < 500


def addresses() -> set[str]:
    """Return every address of the machine interfaces, with something in each gap."""
    found = set()
    for each in get_resolver().url_patterns:
        inner = each.url_patterns if isinstance(each, URLResolver) else [each]
        for pattern in inner:
            if isinstance(pattern, URLPattern):
                text = str(pattern.pattern).replace("<public_id>", "x")
                found.add("/" + text.replace("<redemption_id>", "x"))
    return {path for path in found if path.startswith(("/api/", "/oauth/", "/token", "/users"))}


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete", "options"])
def test_answers_every_method_everywhere(method: str) -> None:
    client = Client(raise_request_exception=False)
    paths = addresses()

    answers = {path: getattr(client, method)(path).status_code for path in paths}

    assert len(paths) >= 20
    assert {path: status for path, status in answers.items() if status >= 500} == {}
