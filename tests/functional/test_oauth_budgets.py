"""What an exchange and an introspection cost, with few rows and with many."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import ApiKey, SessionFamily
from accounts.services.create_service_client import NewServiceClient
from batchtokens.models import STATUS_LIST_SIZE, OperationToken, OperationType
from batchtokens.services.status import status_places
from batchtokens.services.status.status_places import Place
from tests import factories, mandates
from tests.budgets import ROWS, budget, multiply, unhurried
from tests.oauth import INTROSPECT_URL, exchange_form, send

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(scope="module", params=ROWS, ids=str)
def world(
    request: Any, django_db_setup: None, django_db_blocker: Any
) -> Iterator[mandates.Savings]:
    """Fill the tables once for this module's tests; the rows go as they came."""
    around = transaction.atomic()
    setattr(around, "_from_testcase", True)  # noqa: B010 - services may open durable ones in it
    with django_db_blocker.unblock(), around:
        world = mandates.savings(max_live_mandates=1_000_000)
        issued = mandates.issue(world)
        unique = {"token_hash": "'copy-' || n", "subject_digest": "'copy-' || n"}
        unique["status_index"] = "(t.status_index + n) & 1048575"
        multiply(issued.row, request.param, unique=unique)
        multiply(SessionFamily.objects.get(), request.param, unique={})
        with unhurried():
            connection.check_constraints()  # the rows' own, or each test would pay for them all
        assert OperationToken.objects.count() > request.param
        yield world
        transaction.set_rollback(True)


@pytest.fixture
def gateway() -> NewServiceClient:
    return factories.service_client("gateway", scopes=["introspect"])


@pytest.fixture(autouse=True)
def used_just_now(world: mandates.Savings) -> None:
    """Let no key's use be due to be noted: that happens once a minute, and filling takes longer."""
    ApiKey.objects.update(last_used_at=timezone.now())


@pytest.fixture(autouse=True)
def free_places(world: mandates.Savings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no place of the crowd, which has one in ten: a clash takes two statements more."""
    taken = set(OperationToken.objects.values_list("status_index", flat=True))
    free = (n for n in iter(lambda: secrets.randbelow(STATUS_LIST_SIZE), None) if n not in taken)
    monkeypatch.setattr(status_places, "draw_place", lambda listed: Place(listed, next(free)))


def test_exchanges_in_five_statements(world: mandates.Savings) -> None:
    form = exchange_form(mandates.exchange_request(world))

    with budget(5):
        answer = send(form, by=world.trigger)

    assert answer.status_code == 200


def test_exchanges_a_consent_in_five_statements(world: mandates.Savings) -> None:
    OperationType.objects.update(consent="exact")
    limits: dict[str, Any] = {"valid_to": mandates.in_days(30)}
    consent = mandates.consent(world, **limits)
    request = mandates.exchange_request(world, consent_id=consent.public_id, **limits)

    with budget(5):
        answer = send(exchange_form(request), by=world.trigger)

    assert answer.status_code == 200


def test_introspects_an_access_token_in_two(
    world: mandates.Savings, gateway: NewServiceClient
) -> None:
    token = mandates.subject_token(world)

    with budget(2):
        answer = send({"token": token}, by=gateway, url=INTROSPECT_URL)

    assert answer.json()["active"] is True


def test_introspects_an_operation_token_in_two(world: mandates.Savings) -> None:
    token = mandates.issue(world).token

    with budget(2):
        answer = send({"token": token}, by=world.executor, url=INTROSPECT_URL)

    assert answer.json()["active"] is True
