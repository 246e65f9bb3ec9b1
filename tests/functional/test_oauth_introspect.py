"""POST /oauth/introspect: what an active token says; all else looks the same (RFC 7662)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import SecurityEvent, ServiceClient, SessionFamily, User
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import OperationToken
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from tests import factories, mandates
from tests.oauth import INTROSPECT_URL, refusal, send
from tests.tokens import assemble, claims_of, forge, header_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def gateway() -> NewServiceClient:
    return factories.service_client("gateway", scopes=["introspect"])


def ask(token: str, by: NewServiceClient, **parameters: str) -> Any:
    return send({"token": token, **parameters}, by=by, url=INTROSPECT_URL)


def inactive(token: str, by: NewServiceClient) -> bool:
    answer = ask(token, by)
    assert (answer.status_code, answer.json()) == (200, {"active": False})
    return True


@pytest.mark.spec("RFC 7662", "2.2")
@pytest.mark.parametrize("audience", [None, mandates.TRIGGER_AUDIENCE])
def test_tells_an_access_token_s_claims(
    world: mandates.Savings, gateway: NewServiceClient, audience: str | None
) -> None:
    token = factories.access_token_for(world.alice, audience=audience)

    answer = ask(token, gateway)

    assert answer.json() == claims_of(token) | {"active": True, "token_type": "Bearer"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_tells_a_client_s_own_token(gateway: NewServiceClient) -> None:
    ensure_signing_keys()
    token = send({"grant_type": "client_credentials"}, by=gateway).json()["access_token"]

    assert ask(token, gateway).json()["sub"] == "gateway"


def test_tells_what_is_left_of_a_client_s_scope(gateway: NewServiceClient) -> None:
    ensure_signing_keys()
    savings = factories.service_client("savings", scopes=["introspect", "redeem"])
    token = send({"grant_type": "client_credentials"}, by=savings).json()["access_token"]
    ServiceClient.objects.filter(client_id="savings").update(scopes=["redeem"])

    assert ask(token, gateway).json()["scope"] == "redeem"


@pytest.mark.parametrize("asker", ["trigger", "executor"])
def test_tells_an_operation_token(world: mandates.Savings, asker: str) -> None:
    token = mandates.issue(world).token

    body = ask(token, getattr(world, asker)).json()

    assert body.pop("consumption").keys() >= {"redeemed", "settled", "occurrences"}
    assert body == claims_of(token) | {"active": True, "token_type": "Bearer"}


def test_believes_no_hint(world: mandates.Savings, gateway: NewServiceClient) -> None:
    token = mandates.subject_token(world)

    assert ask(token, gateway, token_type_hint="refresh_token").json()["active"] is True


def test_asks_for_a_token(gateway: NewServiceClient) -> None:
    answer = send({"token_type_hint": "access_token"}, by=gateway, url=INTROSPECT_URL)

    assert refusal(answer) == "invalid_request"
    assert "token" in answer.json()["error_description"]


def test_takes_one_token(gateway: NewServiceClient) -> None:
    answer = send({"token": ["a.b.c", "d.e.f"]}, by=gateway, url=INTROSPECT_URL)

    assert refusal(answer) == "invalid_request"


@pytest.mark.parametrize("narrowed", ["client", "key"])
def test_hides_access_tokens_from_others(world: mandates.Savings, narrowed: str) -> None:
    scopes = ["introspect"] if narrowed == "key" else ["redeem"]
    asker = factories.service_client("asker", scopes=scopes)
    if narrowed == "key":
        asker = NewServiceClient(
            asker.client, create_api_key(owner=asker.client, name="narrow", scopes=[]).text
        )

    assert inactive(mandates.subject_token(world), asker)


def test_hides_operation_tokens_from_others(
    world: mandates.Savings, gateway: NewServiceClient
) -> None:
    assert inactive(mandates.issue(world).token, gateway)


def test_hides_refresh_tokens(world: mandates.Savings, gateway: NewServiceClient) -> None:
    assert inactive(factories.session_family(world.alice)[1].refresh, gateway)


@pytest.mark.parametrize("what", ["session", "person", "time"])
def test_hides_what_has_ended(
    world: mandates.Savings, gateway: NewServiceClient, what: str
) -> None:
    token = mandates.subject_token(world)
    later = timedelta()
    if what == "session":
        SessionFamily.objects.update(ended_at=datetime.now(UTC), end_reason="logout")
    elif what == "person":
        User.objects.update(is_active=False)
    else:
        later = timedelta(minutes=15)

    with time_machine.travel(datetime.now(UTC) + later):
        assert inactive(token, gateway)


@pytest.mark.parametrize("what", ["held", "cancelled", "completed", "person", "type", "trigger"])
def test_hides_operations_that_cannot_run(world: mandates.Savings, what: str) -> None:
    issued = mandates.issue(world)
    row = OperationToken.objects.filter(pk=issued.row.pk)
    match what:
        case "held":
            row.update(holds=["user"])
        case "cancelled":
            row.update(cancelled_at=datetime.now(UTC))
        case "completed":
            row.update(taken_count=issued.row.max_occurrences)
            row.update(settled_count=issued.row.max_occurrences)
        case "person":
            User.objects.update(is_active=False)
        case "type":
            switch_operation_type(name="savings.deposit", is_active=False)
        case "trigger":
            ServiceClient.objects.filter(client_id="trigger").update(is_active=False)

    assert inactive(issued.token, world.executor)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "e30.e30.e30",
        "…",
        pytest.param("a" * 20_000, id="long"),
        " ",
        "..",
        "a.b",
        "a.b.c.d",
    ],
)
def test_hides_noise(gateway: NewServiceClient, token: str) -> None:
    assert inactive(token, gateway)


@pytest.mark.parametrize("change", ["key", "unsigned", "kid", "header"])
@pytest.mark.parametrize("kind", ["access", "operation"])
def test_hides_forgeries(
    world: mandates.Savings, gateway: NewServiceClient, kind: str, change: str
) -> None:
    token = mandates.subject_token(world) if kind == "access" else mandates.issue(world).token
    header, claims = header_of(token), claims_of(token)
    forgeries = {
        "key": forge(header, claims),
        "unsigned": assemble(header, claims),
        "kid": forge(header | {"kid": "unknown"}, claims),
        "header": assemble(header | {"kid": ["a"]}, claims, b"signature"),
    }
    asker = gateway if kind == "access" else world.executor

    assert inactive(forgeries[change], asker)


@pytest.mark.parametrize("change", [" ", "\n", "="])
def test_compares_tokens_as_sent(
    world: mandates.Savings, gateway: NewServiceClient, change: str
) -> None:
    assert inactive(mandates.subject_token(world) + change, gateway)


def test_records_nothing(world: mandates.Savings, gateway: NewServiceClient) -> None:
    token, before = mandates.subject_token(world), SecurityEvent.objects.count()

    ask(token, gateway)
    ask("a.b.c", gateway)

    assert SecurityEvent.objects.count() == before
