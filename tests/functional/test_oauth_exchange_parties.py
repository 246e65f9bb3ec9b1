"""POST /oauth/token, token exchange: whose token, and which client may exchange it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accounts.models import ServiceClient, SessionFamily, User
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.step_up import step_up
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from tests import factories, mandates
from tests.oauth import buy, exchange_form, refusal, send
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def test_takes_a_subject_token_for_this_service(world: mandates.Savings) -> None:
    token = factories.access_token_for(world.alice, scope=mandates.META_SCOPE)

    assert buy(world, token).status_code == 200


def test_refuses_a_scope_that_lacks_the_meta_scope(world: mandates.Savings) -> None:
    token = mandates.subject_token(world, scope="profile account")

    assert refusal(buy(world, token)) == "invalid_scope"


def test_refuses_a_token_for_somebody_else(world: mandates.Savings) -> None:
    factories.service_client("gateway", audience="https://gateway.example/")
    token = factories.access_token_for(
        world.alice, scope=mandates.META_SCOPE, audience="https://gateway.example/"
    )

    assert refusal(buy(world, token)) == "invalid_request"


def test_refuses_a_refresh_token(world: mandates.Savings) -> None:
    token = factories.session_family(world.alice, scope=mandates.META_SCOPE)[1].refresh

    assert refusal(buy(world, token)) == "invalid_request"


def test_refuses_an_operation_token(world: mandates.Savings) -> None:
    token = buy(world).json()["access_token"]

    assert refusal(buy(world, token)) == "invalid_request"


def test_refuses_a_client_s_own_token(world: mandates.Savings) -> None:
    ensure_signing_keys()
    own = send({"grant_type": "client_credentials"}, by=world.trigger).json()["access_token"]

    assert refusal(buy(world, own)) == "invalid_request"


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "…", pytest.param("a." * 9000, id="long"), "e30.e30.e30", " "]
)
def test_refuses_what_is_no_token(world: mandates.Savings, token: str) -> None:
    assert refusal(buy(world, token)) == "invalid_request"


@pytest.mark.parametrize("change", [" ", "\n", "="])
def test_compares_tokens_as_sent(world: mandates.Savings, change: str) -> None:
    assert refusal(buy(world, mandates.subject_token(world) + change)) == "invalid_request"


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_refuses_an_expired_token(world: mandates.Savings, seconds: int) -> None:
    token = mandates.subject_token(world)
    ends = datetime.fromtimestamp(claims_of(token)["exp"], UTC)

    with time_machine.travel(ends + timedelta(seconds=seconds), tick=False):
        answer = buy(world, token)

    assert answer.status_code == (200 if seconds < 0 else 400)


def test_refuses_a_token_of_an_ended_session(world: mandates.Savings) -> None:
    token = mandates.subject_token(world)
    SessionFamily.objects.update(ended_at=datetime.now(UTC), end_reason="logout")

    assert refusal(buy(world, token)) == "invalid_request"


def test_refuses_a_token_of_a_disabled_person(world: mandates.Savings) -> None:
    token = mandates.subject_token(world)
    User.objects.update(is_active=False)

    assert refusal(buy(world, token)) == "invalid_request"


def test_refuses_a_client_that_is_no_trigger_of_the_type(world: mandates.Savings) -> None:
    other = factories.service_client("other", scopes=["token_exchange"])
    token = factories.access_token_for(world.alice, scope=mandates.META_SCOPE)
    form = exchange_form(mandates.exchange_request(world), subject_token=token)

    assert refusal(send(form, by=other)) == "unauthorized_client"


@pytest.mark.parametrize("narrowed", ["client", "key"])
def test_refuses_a_client_without_the_scope(world: mandates.Savings, narrowed: str) -> None:
    trigger = world.trigger
    if narrowed == "client":
        ServiceClient.objects.filter(pk=trigger.client.pk).update(scopes=["introspect"])
    else:
        key = create_api_key(owner=trigger.client, name="narrow", scopes=[])
        trigger = NewServiceClient(trigger.client, key.text)

    answer = send(exchange_form(mandates.exchange_request(world)), by=trigger)

    assert refusal(answer) == "unauthorized_client"


def test_refuses_a_type_that_is_switched_off(world: mandates.Savings) -> None:
    switch_operation_type(name="savings.deposit", is_active=False)

    assert refusal(buy(world)) == "invalid_authorization_details"


def test_asks_for_a_fresh_sign_in(world: mandates.Savings) -> None:
    create_operation_type(definition=mandates.savings_definition(max_authentication_age=60))
    token = mandates.subject_token(world, ago=timedelta(seconds=61))

    answer = buy(world, token)
    assert refusal(answer) == "insufficient_user_authentication"
    assert (answer.json()["acr_values"], answer.json()["max_age"]) == ("aal1", 60)


def test_asks_for_a_second_factor(world: mandates.Savings) -> None:
    create_operation_type(definition=mandates.savings_definition(required_acr="aal2"))

    answer = buy(world)

    assert refusal(answer) == "insufficient_user_authentication"
    assert answer.status_code == 400
    assert answer.json()["acr_values"] == "aal2"
    stepped_up = mandates.subject_token(world, amr=["pwd", "otp", "mfa"])
    assert buy(world, stepped_up).status_code == 200


def test_asks_for_a_recent_second_factor(world: mandates.Savings) -> None:
    wanted = {"required_acr": "aal2", "max_authentication_age": 60}
    create_operation_type(definition=mandates.savings_definition(**wanted))
    token = mandates.subject_token(world, amr=["pwd", "otp", "mfa"], ago=timedelta(seconds=61))

    answer = buy(world, token)

    assert refusal(answer) == "insufficient_user_authentication"
    assert (answer.json()["acr_values"], answer.json()["max_age"]) == ("aal2", 60)


def test_takes_the_token_that_a_step_up_gives(world: mandates.Savings) -> None:
    wanted = {"required_acr": "aal2", "max_authentication_age": 60}
    create_operation_type(definition=mandates.savings_definition(**wanted))
    _, code = factories.totp_device(world.alice)
    how = {"scope": f"{mandates.META_SCOPE} profile", "audience": mandates.TRIGGER_AUDIENCE}
    _, pair = factories.session_family(world.alice, ago=timedelta(hours=1), **how)

    stepped_up = step_up(grant=None, refresh=pair.refresh, otp=code())

    assert refusal(buy(world, pair.access)) == "insufficient_user_authentication"
    assert buy(world, stepped_up.access).status_code == 200
