"""Signed introspection answers (RFC 9701): the gateway's evidence, and a credential nowhere."""

import time
from typing import Any

import pytest
from django.conf import settings

from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.mandates.hold import hold_operation
from batchtokens_verifier.jws import TOKEN_CLASSES, Purpose, verify_jws
from tests import factories, mandates, rest
from tests.budgets import budget
from tests.oauth import INTROSPECT_URL, REVOKE_URL, buy, refusal, send
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db

SIGNED = "application/token-introspection+jwt"


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def gateway() -> NewServiceClient:
    return factories.service_client("gateway", scopes=["introspect"])


def ask(token: str, by: NewServiceClient, accept: str = SIGNED) -> Any:
    return send({"token": token}, by=by, url=INTROSPECT_URL, headers={"Accept": accept})


def signed(token: str, by: NewServiceClient) -> str:
    answer = ask(token, by)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, SIGNED)
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.content.decode())


def said(token: str) -> dict[str, Any]:
    """Verify the answer as its receiver does."""
    return verify_jws(
        token,
        keys=current_key_ring().verification_keys(),
        purpose=Purpose.INTROSPECTION,
        typ=TOKEN_CLASSES[Purpose.INTROSPECTION],
    )


@pytest.mark.spec("RFC 9701", "5")
def test_signs_for_the_client_that_asks(world: mandates.Savings, gateway: NewServiceClient) -> None:
    token = factories.access_token_for(world.alice)

    answer = signed(token, gateway)

    claims = said(answer)
    assert header_of(answer)["typ"] == "token-introspection+jwt"
    assert claims.keys() == {"iss", "aud", "iat", "token_introspection"}
    assert (claims["iss"], claims["aud"]) == (settings.ISSUER_URL, "gateway")
    assert abs(claims["iat"] - time.time()) < 5
    assert claims["token_introspection"] == ask(token, gateway, "application/json").json()
    assert claims["token_introspection"]["active"] is True


def test_signs_what_trigger_and_executor_may_know_of_an_operation(
    world: mandates.Savings,
) -> None:
    issued = mandates.issue(world)
    for client in (world.trigger, world.executor):
        told = said(signed(issued.token, client))["token_introspection"]
        assert (told["active"], told["consumption"]["redeemed"]) == (True, 0)
        assert told["status"] == claims_of(issued.token)["status"]


def test_signs_that_a_token_is_not_active_and_no_more(
    world: mandates.Savings, gateway: NewServiceClient
) -> None:
    issued = mandates.issue(world)
    for token, client in (
        ("a.b.c", gateway),
        (issued.token, gateway),  # neither its trigger nor its executor
        (factories.access_token_for(world.alice), world.trigger),  # without `introspect`
    ):
        assert said(signed(token, client))["token_introspection"] == {"active": False}
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    assert said(signed(issued.token, world.executor))["token_introspection"] == {"active": False}


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "application/json"),
        (f"{SIGNED}, application/json;q=0.5", SIGNED),
        (f"{SIGNED};q=0.5, application/json", "application/json"),
        (SIGNED, SIGNED),
    ],
)
def test_signs_for_whom_prefers_it(
    world: mandates.Savings, gateway: NewServiceClient, accept: str, type_: str
) -> None:
    assert ask("a.b.c", gateway, accept).headers["Content-Type"] == type_


def test_asks_for_a_client_first(world: mandates.Savings) -> None:
    answer = send({"token": "a.b.c"}, url=INTROSPECT_URL, headers={"Accept": SIGNED})
    assert refusal(answer) == "invalid_client"


def test_no_door_takes_the_answer(world: mandates.Savings, gateway: NewServiceClient) -> None:
    issued = mandates.issue(world)
    subject = mandates.subject_token(world)
    evidence = signed(subject, gateway)
    of_operation = signed(issued.token, world.executor)
    for token in (evidence, of_operation):
        bearer = rest.Caller(factories.bearer(token))
        assert bearer.get("/api/v1/me").status_code == 401
        assert bearer.get(rest.OPERATIONS).status_code == 401
        assert refusal(buy(world, token)) == "invalid_request"
        job = {"operation_token": token, "operation": mandates.OPERATION}
        redeemed = rest.machine(world.executor).post(rest.REDEMPTIONS, job, key="k")
        assert rest.code_of(redeemed) == (403, "operation_token_not_valid")
        queued = rest.machine(world.trigger).post(rest.QUEUE, job)
        assert rest.code_of(queued) == (403, "operation_token_not_valid")
        assert ask(token, gateway, "application/json").json() == {"active": False}
        assert send({"token": token}, by=world.trigger, url=REVOKE_URL).status_code == 200
        refresh = {"grant_type": "refresh_token", "refresh_token": token}
        assert refusal(send({**refresh, "client_id": "first-party"})) == "invalid_grant"
    assert OperationToken.objects.get(pk=issued.row.pk).cancelled_at is None


def test_costs_no_more_statements(world: mandates.Savings, gateway: NewServiceClient) -> None:
    token = factories.access_token_for(world.alice)
    signed(token, gateway)
    with budget(2):
        ask(token, gateway)
