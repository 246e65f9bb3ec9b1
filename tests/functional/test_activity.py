"""`GET /api/v1/me/activity`: a person's own part of the security log, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import RequestContext, SecurityEvent, User
from accounts.services.record_event import count_refusal, record_event
from tests import factories
from tests.rest import Caller, code_of, person, pointers_of

pytestmark = pytest.mark.django_db

ACTIVITY = "/api/v1/me/activity"
PHONE = RequestContext("192.0.2.7", "phone", "request-1")


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def caller(alice: User) -> Caller:
    return person(alice, scope="profile account")


def listed(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_tells_what_happened(alice: User, caller: Caller) -> None:
    record_event(code="signed_in", user=alice, data={"session": "ses_1"}, context=PHONE)

    (event,) = listed(caller.get(ACTIVITY))

    assert event.pop("id").startswith("evt_")
    assert event.pop("at").endswith("Z")
    assert event == {
        "code": "signed_in",
        "outcome": "success",
        "description": "Somebody signed in as you.",
        "address": "192.0.2.7",
        "device": "phone",
        "request_id": "request-1",
        "count": 1,
        "details": {"session": "ses_1"},
    }


def test_is_newest_first_in_pages(alice: User, caller: Caller) -> None:
    for code in ("account_registered", "signed_in", "session_ended"):
        record_event(code=code, user=alice)

    page = caller.get(ACTIVITY, page_size="2").json()

    assert [event["code"] for event in page["results"]] == ["session_ended", "signed_in"]
    following = caller.get(page["next"].partition("testserver")[2])
    assert [event["code"] for event in listed(following)] == ["account_registered"]


def test_is_nobody_elses(alice: User, caller: Caller) -> None:
    record_event(code="signed_in", user=factories.bob())
    record_event(code="rate_limited")

    assert listed(caller.get(ACTIVITY)) == []


@pytest.mark.usefixtures("one_minute")
def test_counts_guesses_at_ones_password(alice: User, caller: Caller, client: Client) -> None:
    body = {"username": "alice", "password": "a wrong passphrase"}
    for _ in range(3):
        client.post("/api/v1/auth/token", body, "application/json")

    (event,) = listed(caller.get(ACTIVITY))

    assert (event["code"], event["outcome"], event["count"]) == ("sign_in_refused", "refused", 3)
    assert event["details"] == {"reason": "wrong_password"}


@pytest.mark.parametrize(
    ("filters", "codes"),
    [
        ({"code": "signed_in"}, ["signed_in"]),
        ({"outcome": "refused"}, ["sign_in_refused"]),
        ({"code": "signed_in", "outcome": "refused"}, []),
        ({"code": "never_heard_of"}, []),
    ],
)
def test_is_filtered(
    alice: User, caller: Caller, filters: dict[str, str], codes: list[str]
) -> None:
    record_event(code="signed_in", user=alice)
    count_refusal(code="sign_in_refused", reason="wrong_password", user=alice)

    assert [event["code"] for event in listed(caller.get(ACTIVITY, **filters))] == codes


@pytest.mark.parametrize(
    ("filters", "pointer"),
    [
        ({"outcome": "maybe"}, "/outcome"),
        ({"code": "x" * 61}, "/code"),
        ({"user": "bob"}, ""),
        ({"cursor": "x"}, "/cursor"),
    ],
)
def test_points_at_a_bad_filter(caller: Caller, filters: dict[str, str], pointer: str) -> None:
    answer = caller.get(ACTIVITY, **filters)

    assert code_of(answer) == (400, "invalid")
    assert pointers_of(answer) == [pointer]


def test_keeps_what_is_the_operators(alice: User, caller: Caller) -> None:
    data = {"why": "a complaint of Bob's", "by": factories.staff().public_id, "session": "ses_1"}
    record_event(code="session_ended", user=alice, data=data, context=PHONE)

    (event,) = listed(caller.get(ACTIVITY))

    assert event["details"] == {"session": "ses_1"}
    assert (event["address"], event["device"], event["request_id"]) == (None, "", "")


def test_shows_where_one_did_it_oneself(alice: User, caller: Caller) -> None:
    record_event(code="session_ended", user=alice, data={"by": alice.public_id}, context=PHONE)

    assert listed(caller.get(ACTIVITY))[0]["address"] == "192.0.2.7"


@pytest.mark.parametrize("scope", ["profile", "profile trigger_continuous_savings"])
def test_wants_the_scope_of_the_account(alice: User, scope: str) -> None:
    answer = person(alice, scope=scope).get(ACTIVITY)

    assert code_of(answer) == (403, "insufficient_scope")
    assert 'scope="account"' in answer.headers["WWW-Authenticate"]


def test_wants_a_person(client: Client) -> None:
    assert code_of(client.get(ACTIVITY)) == (401, "not_authenticated")


def test_costs_the_same_however_long_the_log(
    alice: User, caller: Caller, django_assert_max_num_queries: Any
) -> None:
    SecurityEvent.objects.bulk_create(
        SecurityEvent(code="signed_in", outcome="success", user=alice) for _ in range(120)
    )
    caller.get(ACTIVITY)

    with django_assert_max_num_queries(3):
        assert len(listed(caller.get(ACTIVITY))) == 50
