"""Executors' caps and their switch in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import SecurityEvent
from batchtokens.models import ExecutorControl
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.stop_executor import stop_executor
from tests import factories, mandates

pytestmark = pytest.mark.django_db

CONTROLS = "/admin/batchtokens/executorcontrol/"


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


def switch_of(world: mandates.Savings) -> str:
    return f"{CONTROLS}{world.redeemer.pk}/switch/"


def test_stops_an_executor_that_had_no_caps(staff: Client, world: mandates.Savings) -> None:
    assert "Stop an executor" in staff.get(f"{CONTROLS}add/").content.decode()

    body: dict[str, Any] = {"executor": world.redeemer.pk, "reason": "odd transfers"}
    answer = staff.post(f"{CONTROLS}add/", body, follow=True)

    assert answer.status_code == 200
    control = ExecutorControl.objects.get()
    assert (control.stopped_by, control.reason) == ("staff", "odd transfers")
    event = SecurityEvent.objects.get(code="executor_stopped")
    assert event.data["by"].startswith("usr_")


def test_starts_it_again(staff: Client, world: mandates.Savings) -> None:
    stop_executor(executor=world.redeemer, reason="odd transfers")
    assert 'value="start"' in staff.get(switch_of(world)).content.decode()

    staff.post(switch_of(world), {"reason": "all well", "wanted": "start"})

    assert ExecutorControl.objects.get().stopped_at is None


def test_two_who_stop_it_at_once_do_not_start_it(staff: Client, world: mandates.Savings) -> None:
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=5), reason="test")
    for _ in range(2):
        staff.post(switch_of(world), {"reason": "odd transfers", "wanted": "stop"})

    assert ExecutorControl.objects.get().stopped_by == "staff"


@pytest.mark.parametrize("body", [{"wanted": "stop"}, {"reason": "why"}], ids=["why", "what"])
def test_wants_a_reason_and_a_verb(
    staff: Client, world: mandates.Savings, body: dict[str, str]
) -> None:
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=5), reason="test")

    assert staff.post(switch_of(world), body).status_code == 200

    assert ExecutorControl.objects.get().stopped_at is None


def test_shows_caps_and_changes_none(staff: Client, world: mandates.Savings) -> None:
    caps = Caps(max_count_day=777, max_minor_day=123_400, currency="USD")
    set_caps(executor=world.redeemer, caps=caps, reason="test")
    mandates.redeem(world, mandates.issue(world), now=database_now())

    page = staff.get(f"{CONTROLS}{world.redeemer.pk}/change/").content.decode()
    refused = staff.post(f"{CONTROLS}{world.redeemer.pk}/change/", {"max_count_day": 9})

    assert "777" in page
    assert "1,234.00" in page or "1234.00" in page
    assert "1, 50.00\N{NO-BREAK SPACE}USD" in page
    assert "not counted" in page
    assert "savings.deposit" in page
    assert refused.status_code == 403
    assert "savings" in staff.get(CONTROLS).content.decode()


def test_is_not_for_readers(client: Client, world: mandates.Savings) -> None:
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=5), reason="test")
    reader = factories.user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(reader)

    body = {"reason": "mine", "wanted": "stop", "executor": world.redeemer.pk}
    assert client.post(switch_of(world), body).status_code == 403
    assert client.post(f"{CONTROLS}add/", body).status_code == 403
    assert client.get(f"{CONTROLS}{world.redeemer.pk}/change/").status_code == 200
    assert ExecutorControl.objects.get().stopped_at is None


@pytest.mark.parametrize("path", ["", "{first}/change/"], ids=["list", "one"])
def test_needs_no_more_statements_for_fifty(
    staff: Client, world: mandates.Savings, path: str
) -> None:
    first, counts = world.redeemer.pk, []
    for more in (5, 45):
        for number in range(more):
            name = f"bank-{more}-{number}"
            set_caps(
                executor=factories.service_client(name).client,
                caps=Caps(max_count_day=5),
                reason="test",
            )
        set_caps(executor=world.redeemer, caps=Caps(max_count_day=5), reason="test")
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(CONTROLS + path.format(first=first)).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 22


def test_the_list_offers_to_stop_and_not_to_add(staff: Client) -> None:
    page = staff.get(CONTROLS).content.decode()

    assert "Stop an executor" in page
    assert "Add executor control" not in page


def test_the_way_back_from_the_switch_is_the_row(staff: Client, world: mandates.Savings) -> None:
    stop_executor(executor=world.redeemer, reason="odd transfers")

    page = staff.get(switch_of(world)).content.decode()

    assert f'href="{CONTROLS}{world.redeemer.pk}/change/" class="closelink"' in page
