"""POST /oauth/token: a person's access token for one operation token (RFC 8693)."""

from datetime import timedelta

import pytest

from batchtokens.models import LedgerEntry, OperationToken
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens_verifier.claims import parse_operation_token
from tests import factories, mandates
from tests.oauth import ACCESS_TOKEN, buy, details, exchange_form, refusal, send
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db

OTHER_TYPE = {
    "name": "savings.transfer",
    "meta_scope": "trigger_transfers",
    "scope": "savings.transfer",
}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def test_answers_as_rfc_8693_says(world: mandates.Savings) -> None:
    answer = buy(world)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    row = OperationToken.objects.get()
    assert body.keys() == {
        "access_token",
        "issued_token_type",
        "token_type",
        "expires_in",
        "scope",
        "authorization_details",
        "grant_id",
    }
    assert (body["token_type"], body["scope"]) == ("Bearer", "savings.deposit")
    assert body["issued_token_type"] == ACCESS_TOKEN
    assert body["grant_id"] == row.public_id
    assert timedelta(days=30).total_seconds() - 5 <= body["expires_in"] <= 30 * 86_400


@pytest.mark.spec("RFC 9396", "7")
def test_answers_the_details_as_granted(world: mandates.Savings) -> None:
    body = buy(world).json()

    claims = claims_of(body["access_token"])
    assert body["authorization_details"] == claims["authorization_details"]
    (granted,) = body["authorization_details"]
    assert granted["identifier"] == body["grant_id"]
    assert granted["operation"] == mandates.OPERATION


def test_issues_a_token_for_one_executor(world: mandates.Savings) -> None:
    token = buy(world).json()["access_token"]

    claims = parse_operation_token(claims_of(token))
    assert header_of(token)["typ"] == "at+jwt"
    assert claims.aud == mandates.EXECUTOR_AUDIENCE
    assert claims.sub == world.alice.public_id
    assert claims.client_id == claims.act == "trigger"


def test_takes_the_executor_as_resource(world: mandates.Savings) -> None:
    answer = buy(world, audience=None, resource=mandates.EXECUTOR_AUDIENCE)

    assert answer.status_code == 200


def test_names_the_wanted_type(world: mandates.Savings) -> None:
    assert buy(world, requested_token_type=ACCESS_TOKEN).status_code == 200


def test_sells_one_token_a_type(world: mandates.Savings) -> None:
    token = mandates.subject_token(world)

    assert buy(world, token).status_code == 200
    assert refusal(buy(world, token)) == "invalid_request"
    assert OperationToken.objects.count() == 1


def test_sells_one_token_of_each_type(world: mandates.Savings) -> None:
    definition = mandates.savings_definition(**OTHER_TYPE)
    definition["schema"]["properties"]["action"] = {"const": "savings.transfer"}
    create_operation_type(definition=definition)
    world.alice.groups.create(name="trigger_transfers")
    token = mandates.subject_token(world, scope=f"{mandates.META_SCOPE} trigger_transfers")
    operation = {**mandates.OPERATION, "action": "savings.transfer"}
    text = details(type="savings.transfer", operation=operation)

    other = {"scope": "savings.transfer", "authorization_details": text}
    answers = [buy(world, token), buy(world, token, **other), buy(world, token, **other)]

    assert [answer.status_code for answer in answers] == [200, 200, 400]


def test_answers_a_retry_with_the_same_token(world: mandates.Savings) -> None:
    token, text = mandates.subject_token(world), details()

    first = buy(world, token, key="key-1", authorization_details=text)
    again = buy(world, token, key="key-1", authorization_details=text)

    assert first.status_code == again.status_code == 200
    assert first.json()["access_token"] == again.json()["access_token"]
    assert first.json()["authorization_details"] == again.json()["authorization_details"]
    assert OperationToken.objects.count() == LedgerEntry.objects.of_operations().count() == 1


@pytest.mark.parametrize("change", ["details", "subject"])
def test_refuses_another_request_under_a_key(world: mandates.Savings, change: str) -> None:
    token, text = mandates.subject_token(world), details()
    buy(world, token, key="key-1", authorization_details=text)

    if change == "details":
        text = details(max_occurrences=2)
    else:
        token = mandates.subject_token(world)
    answer = buy(world, token, key="key-1", authorization_details=text)

    assert refusal(answer) == "invalid_request"
    assert "Idempotency-Key" in answer.json()["error_description"]


def test_keeps_the_keys_of_clients_apart(world: mandates.Savings) -> None:
    other = factories.service_client("other", scopes=["token_exchange"])
    world.kind.trigger_clients.add(other.client)
    buy(world, key="key-1")
    token = factories.access_token_for(world.alice, scope=mandates.META_SCOPE)

    form = exchange_form(mandates.exchange_request(world), subject_token=token)
    answer = send(form, by=other, headers={"Idempotency-Key": "key-1"})

    assert answer.status_code == 200
