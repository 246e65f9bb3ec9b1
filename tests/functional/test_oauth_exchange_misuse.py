"""POST /oauth/token, token exchange: each parameter used wrongly."""

from typing import Any

import pytest

from accounts.models import SecurityEvent
from batchtokens.models import OperationToken
from tests import mandates
from tests.oauth import ACCESS_TOKEN, EXCHANGE, buy, details, exchange_form, refusal, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.mark.parametrize(
    "name", ["subject_token", "subject_token_type", "audience", "scope", "authorization_details"]
)
@pytest.mark.parametrize("absent", [None, ""])
def test_names_what_is_missing(world: mandates.Savings, name: str, absent: str | None) -> None:
    form = {**exchange_form(mandates.exchange_request(world)), name: absent}

    answer = send(form, by=world.trigger)

    assert refusal(answer) == "invalid_request"
    assert name in answer.json()["error_description"]


@pytest.mark.spec("RFC 8693", "2.1")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"actor_token": "a.b.c"}, "invalid_request"),
        ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        (
            {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            "invalid_request",
        ),
        (
            {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"},
            "invalid_request",
        ),
        ({"requested_token_type": EXCHANGE}, "invalid_request"),
        ({"resource": mandates.EXECUTOR_AUDIENCE}, "invalid_target"),
        ({"audience": [mandates.EXECUTOR_AUDIENCE] * 2}, "invalid_target"),
        ({"audience": None, "resource": [mandates.EXECUTOR_AUDIENCE] * 2}, "invalid_target"),
        ({"audience": "https://savings.example"}, "invalid_target"),
        ({"audience": mandates.TRIGGER_AUDIENCE}, "invalid_target"),
        ({"audience": f" {mandates.EXECUTOR_AUDIENCE}"}, "invalid_target"),
        ({"scope": "savings.withdraw"}, "invalid_scope"),
        ({"scope": "savings.deposit profile"}, "invalid_scope"),
        ({"scope": mandates.META_SCOPE}, "invalid_scope"),
        ({"scope": ["savings.deposit"] * 2}, "invalid_request"),
        ({"subject_token": ["a.b.c", "d.e.f"]}, "invalid_request"),
    ],
)
def test_refuses_misuse(world: mandates.Savings, changes: dict[str, Any], error: str) -> None:
    assert refusal(buy(world, **changes)) == error
    assert not OperationToken.objects.exists()


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "{}",
        "[]",
        "[{}]",
        '"savings.deposit"',
        "[1]",
        "[null]",
        '[["type"]]',
        "[{},{}]",
        '[{"type":"savings.deposit","type":"savings.deposit"}]',
        '[{"type":"savings.deposit","operation":NaN}]',
        '[{"type":"savings.deposit","valid_to":"\\ud800"}]',
        pytest.param("[" * 10_000, id="deep"),
        pytest.param(f'[{{"valid_to":{"9" * 5000}}}]', id="long number"),
        pytest.param(f'[{{"valid_to":"{"9" * 70_000}"}}]', id="long"),
    ],
)
def test_refuses_other_shapes(world: mandates.Savings, text: str) -> None:
    assert refusal(buy(world, authorization_details=text)) == "invalid_authorization_details"


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"type": 1},
        {"type": "unknown"},
        {"type": "savings.deposit\0"},
        {"operation": None},
        {"operation": "deposit"},
        {"operation": {**mandates.OPERATION, "reference": "a\0b"}},
        {"operation": {**mandates.OPERATION, "reference": 1}},
        {"operation": {**mandates.OPERATION, "colour": "blue"}},
        {"operation": {**mandates.OPERATION, "action": "savings.withdraw"}},
        {"valid_to": None},
        {"valid_to": "tomorrow"},
        {"valid_to": "2020-01-01T00:00:00Z"},
        {"valid_to": "2999-01-01T00:00:00Z"},
        {"valid_to": 1_800_000_000},
        {"max_occurrences": 1.5},
        {"max_occurrences": "1"},
        {"schedule": "FREQ=DAILY"},
        {"schedule": "FREQ=DAILY;COUNT=99999999"},
        {"identifier": "op_1"},
        {"redemption": {"mode": "none"}},
        {"consent": {"mode": "scope"}},
        {"colour": "blue"},
        {"actions": ["savings.withdraw"]},
        {"locations": ["https://other.example/"]},
        {"locations": [mandates.EXECUTOR_AUDIENCE] * 2},
    ],
)
def test_refuses_invalid_details(world: mandates.Savings, changes: dict[str, Any]) -> None:
    answer = buy(world, authorization_details=details(**changes))

    assert refusal(answer) == "invalid_authorization_details"
    assert not OperationToken.objects.exists()


def test_takes_details_that_repeat_what_the_type_says(world: mandates.Savings) -> None:
    text = details(actions=["savings.deposit"], locations=[mandates.EXECUTOR_AUDIENCE])

    assert buy(world, authorization_details=text).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "k" * 256, "a\tb"])
def test_refuses_malformed_keys(world: mandates.Savings, key: str) -> None:
    assert refusal(buy(world, key=key)) == "invalid_request"


@pytest.mark.parametrize("key", ["!", "k" * 255])
def test_takes_keys_up_to_their_limits(world: mandates.Savings, key: str) -> None:
    assert buy(world, key=key).status_code == 200


def test_records_a_refusal_once(world: mandates.Savings) -> None:
    buy(world, audience=mandates.TRIGGER_AUDIENCE)

    event = SecurityEvent.objects.get(code="exchange_refused")
    assert (event.outcome, event.client) == ("refused", world.trigger.client)
    assert event.data == {"reason": "invalid_target"}
