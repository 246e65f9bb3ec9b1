"""Operation types and the queue in the admin."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from batchtokens.admin.operation_types import definition_of
from batchtokens.models import LedgerEntry, OperationType, QueuedRun
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.find_decision import find_decision
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.queue.enqueue import enqueue_operation_token
from tests import factories, mandates

pytestmark = pytest.mark.django_db

TYPES = "/admin/batchtokens/operationtype/"
RUNS = "/admin/batchtokens/queuedrun/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


def define(staff: Client, address: str, definition: Any) -> Any:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return staff.post(f"{TYPES}{address}", {"definition": text}, follow=True)


class TestDefinition:
    def test_makes_a_type(self, staff: Client, world: mandates.Savings) -> None:
        new = definition_of(world.kind) | {"name": "savings.extra", "meta_scope": "extra"}

        page = define(staff, "add/", new)

        assert "Defined: savings.extra v1." in page.content.decode()
        assert OperationType.objects.get(name="savings.extra").trigger_clients.count() == 1

    def test_shows_what_makes_the_same_version_again(
        self, staff: Client, world: mandates.Savings
    ) -> None:
        page = staff.get(f"{TYPES}{world.kind.pk}/definition/")

        shown = json.loads(page.context["form"].initial["definition"])
        assert create_operation_type(definition=shown) == world.kind

    def test_shows_the_level_that_a_type_wants(self, world: mandates.Savings) -> None:
        kind = create_operation_type(definition=mandates.savings_definition(required_acr="aal2"))

        assert definition_of(kind)["required_acr"] == "aal2"

    def test_replaces_a_version_that_has_not_issued(
        self, staff: Client, world: mandates.Savings
    ) -> None:
        changed = definition_of(world.kind) | {"max_lifetime_days": 7}

        define(staff, f"{world.kind.pk}/definition/", changed)

        kind = OperationType.objects.get()
        assert (kind.version, kind.max_lifetime_days) == (1, 7)

    def test_leaves_a_version_that_has_issued(
        self, staff: Client, world: mandates.Savings, issued: Issued
    ) -> None:
        changed = definition_of(world.kind) | {"max_lifetime_days": 7}

        define(staff, f"{world.kind.pk}/definition/", changed)

        old, new = OperationType.objects.order_by("version")
        assert (old.max_lifetime_days, old.is_current) == (366, False)
        assert (new.max_lifetime_days, new.is_current) == (7, True)

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"executor": "nobody"}, "/executor: There is no service client nobody."),
            ({"consent": "none"}, "/consent: One"),
            ({"summary": "Trust me."}, "/summary: The summary does not show"),
            ({"colour": "red"}, "/colour: Unknown"),
        ],
    )
    def test_shows_what_is_wrong(
        self, staff: Client, world: mandates.Savings, change: dict[str, str], error: str
    ) -> None:
        answer = define(staff, "add/", definition_of(world.kind) | {"name": "x"} | change)

        assert error in answer.content.decode()
        assert OperationType.objects.count() == 1

    @pytest.mark.parametrize("text", ["{", "[]", "", '{"name": NaN}', '{"a": 1, "a": 2}'])
    def test_refuses_what_is_no_definition(self, staff: Client, text: str) -> None:
        assert "errorlist" in define(staff, "add/", text).content.decode()
        assert OperationType.objects.count() == 0


class TestSwitch:
    def test_asks_and_then_switches_every_version(
        self, staff: Client, world: mandates.Savings, issued: Issued
    ) -> None:
        create_operation_type(definition=definition_of(world.kind) | {"max_lifetime_days": 7})
        address = f"{TYPES}{world.kind.pk}/switch/"

        assert 'value="stop"' in staff.get(address).content.decode()
        for _ in range(2):  # two who stop it at once do not start it
            staff.post(address, {"wanted": "stop", "reason": "odd transfers"})
        assert set(OperationType.objects.values_list("is_active", flat=True)) == {False}
        assert 'value="start"' in staff.get(address).content.decode()
        staff.post(address, {"wanted": "start", "reason": "all well"})
        assert set(OperationType.objects.values_list("is_active", flat=True)) == {True}

    def test_is_ledgered_with_who_and_why(self, staff: Client, world: mandates.Savings) -> None:
        body = {"wanted": "stop", "reason": "odd transfers"}
        staff.post(f"{TYPES}{world.kind.pk}/switch/", body)

        entry = LedgerEntry.objects.get(kind="type_stopped")
        found = find_decision(entry)
        assert found is not None
        assert found.actor.startswith("usr_")
        assert (found.reason, found.is_as_recorded) == ("odd transfers", True)
        shown = staff.get(f"/admin/batchtokens/ledgerentry/{entry.pk}/change/").content.decode()
        assert f"{found.actor}: odd transfers" in shown

    @pytest.mark.parametrize("body", [{"wanted": "stop"}, {"reason": "why"}], ids=["why", "what"])
    def test_wants_a_reason_and_a_verb(
        self, staff: Client, world: mandates.Savings, body: dict[str, str]
    ) -> None:
        assert staff.post(f"{TYPES}{world.kind.pk}/switch/", body).status_code == 200
        assert OperationType.objects.get().is_active

    @pytest.mark.parametrize("page", ["switch/", "definition/"])
    def test_is_not_for_readers(self, client: Client, world: mandates.Savings, page: str) -> None:
        reader = factories.user("reader", is_staff=True)
        reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        client.force_login(reader)

        assert client.post(f"{TYPES}{world.kind.pk}/{page}").status_code == 403
        assert client.get(f"{TYPES}add/").status_code == 403
        assert OperationType.objects.get().is_active


class TestQueue:
    @pytest.mark.parametrize(
        ("state", "situation"),
        [
            ({}, "due"),
            ({"next_attempt_at": timezone.now() + timedelta(days=1)}, "waiting"),
            ({"state": "leased"}, "leased"),
            ({"code": "http_500"}, "failing"),
            ({"state": "dead", "finished_at": timezone.now()}, "dead"),
            ({"state": "done", "finished_at": timezone.now()}, "done"),
        ],
    )
    def test_is_filtered_by_situation(
        self,
        staff: Client,
        world: mandates.Savings,
        issued: Issued,
        state: dict[str, Any],
        situation: str,
    ) -> None:
        enqueue_operation_token(
            by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
        )
        QueuedRun.objects.update(**state)

        shown = staff.get(RUNS, {"situation": situation})

        assert len(shown.context["cl"].result_list) == 1
        assert len(staff.get(RUNS, {"code": "x"}).context["cl"].result_list) == 0

    def test_never_shows_what_is_sealed(
        self, staff: Client, world: mandates.Savings, issued: Issued
    ) -> None:
        enqueue_operation_token(
            by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
        )
        run = QueuedRun.objects.get()

        page = staff.get(f"{RUNS}{quote(run.pk)}/change/").content.decode()

        assert run.webhook_id in page
        assert "sealed" not in page
        assert issued.token not in page
