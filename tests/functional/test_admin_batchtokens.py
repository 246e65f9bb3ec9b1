"""The admin of batchtokens: everything is found and read; what changes goes through services."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from batchtokens.models import (
    LedgerEntry,
    OperationToken,
    OperationType,
    QueuedRun,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.models.operation_tokens import HoldKind
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.queue.enqueue import enqueue_operation_token
from tests import factories, mandates

pytestmark = pytest.mark.django_db

MODELS = (
    OperationType,
    OperationToken,
    LedgerEntry,
    Redemption,
    RedemptionAttempt,
    QueuedRun,
)
ADMIN = "/admin/batchtokens"
TOKENS = f"{ADMIN}/operationtoken/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


@pytest.fixture
def reader(client: Client) -> Client:
    """Return somebody who may look at everything, and change nothing."""
    person = factories.user("reader", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(person)
    return client


def fill(world: mandates.Savings, issued: Issued) -> None:
    """Give an operation a row of every model."""
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    mandates.redeem(world, issued, key=f"run-{issued.row.pk}")


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def row_of(issued: Issued) -> OperationToken:
    return OperationToken.objects.get(pk=issued.row.pk)


@pytest.mark.parametrize("model", MODELS)
class TestEveryModel:
    def test_is_listed_and_shown(
        self, staff: Client, world: mandates.Savings, issued: Issued, model: Any
    ) -> None:
        fill(world, issued)
        folder = f"{ADMIN}/{model._meta.model_name}/"

        assert "1 " in text_of(staff.get(folder))
        shown = text_of(staff.get(f"{folder}{quote(model.objects.first().pk)}/change/"))
        assert 'name="_save"' not in shown

    def test_is_never_deleted_and_only_types_are_added(
        self, staff: Client, issued: Issued, model: Any
    ) -> None:
        page = admin.site.get_model_admin(model)
        request = staff.get(f"{ADMIN}/{model._meta.model_name}/").wsgi_request

        assert not page.has_delete_permission(request)
        assert not page.has_change_permission(request)
        assert page.has_add_permission(request) == (model is OperationType)

    def test_needs_bounded_queries(
        self, staff: Client, world: mandates.Savings, model: Any
    ) -> None:
        folder, counts = f"{ADMIN}/{model._meta.model_name}/", []
        for more in (10, 40):
            for _ in range(more):
                fill(world, mandates.issue(world))
                days = 100 + OperationType.objects.count()
                create_operation_type(
                    definition=mandates.savings_definition(max_lifetime_days=days)
                )
            with CaptureQueriesContext(
                connection,
            ) as queries:
                text_of(staff.get(folder))
            counts.append(len(queries))

        assert counts[0] == counts[1] <= 14

    def test_stays_inside_the_strict_policy(
        self, staff: Client, world: mandates.Savings, issued: Issued, model: Any
    ) -> None:
        fill(world, issued)
        folder = f"{ADMIN}/{model._meta.model_name}/"

        for path in (folder, f"{folder}{quote(model.objects.first().pk)}/change/"):
            page = text_of(staff.get(path))
            assert " style=" not in page
            assert "<style" not in page
            assert "onclick=" not in page

    def test_finds_by_the_operation(
        self, staff: Client, world: mandates.Savings, issued: Issued, model: Any
    ) -> None:
        fill(world, issued)
        folder = f"{ADMIN}/{model._meta.model_name}/"

        found = staff.get(folder, {"q": issued.row.public_id})
        missed = staff.get(folder, {"q": f"op_{'0' * 32}"})

        assert len(found.context["cl"].result_list) >= 1
        assert len(missed.context["cl"].result_list) == 0


class TestOperationTokens:
    def test_shows_signature_amount_expiry_and_status(self, staff: Client, issued: Issued) -> None:
        page = text_of(staff.get(f"{TOKENS}{issued.row.pk}/change/"))

        for value in (
            issued.row.kid,
            issued.row.alg,
            issued.row.jws_digest,
            "50.00\N{NO-BREAK SPACE}USD",
            "Active",
        ):
            assert value in page
        assert issued.row.summary in page
        assert issued.token not in page

    @pytest.mark.parametrize(("status", "count"), [("active", 1), ("held", 1), ("completed", 0)])
    def test_filters_by_the_computed_status(
        self, staff: Client, world: mandates.Savings, issued: Issued, status: str, count: int
    ) -> None:
        hold_operation(operation_id=mandates.issue(world).row.pk, by=HoldKind.USER)

        page = staff.get(TOKENS, {"status": status})

        assert len(page.context["cl"].result_list) == count

    @pytest.mark.parametrize(
        "query",
        [
            {"type": "savings.deposit"},
            {"executor__id__exact": "executor"},
            {"client__id__exact": "trigger"},
            {"q": "ali"},
            {"q": "parameter_digest"},
            {"q": "jws_digest"},
        ],
    )
    def test_filters_and_finds(
        self, staff: Client, world: mandates.Savings, issued: Issued, query: dict[str, str]
    ) -> None:
        ((name, value),) = query.items()
        named = {"executor": world.redeemer.pk, "trigger": world.trigger.client.pk}
        value = str(named.get(value, getattr(issued.row, value, value)))

        assert len(staff.get(TOKENS, {name: value}).context["cl"].result_list) == 1
        assert len(staff.get(TOKENS, {"q": "nobody"}).context["cl"].result_list) == 0

    def test_shows_the_timeline(self, staff: Client, issued: Issued) -> None:
        words = Words(reason="moving <b>house</b>")
        hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=words)

        page = text_of(staff.get(f"{TOKENS}{issued.row.pk}/change/"))

        assert "moving &lt;b&gt;house&lt;/b&gt;" in page
        assert f"ledgerentry/?operation_token__id__exact={issued.row.pk}" in page


class TestStaffChanges:
    def apply(self, staff: Client, verb: str, *chosen: Issued, reason: str = "asked to") -> Any:
        ids = [issued.row.pk for issued in chosen]
        return staff.post(f"{TOKENS}{verb}/", {"ids": ids, "reason": reason}, follow=True)

    def test_asks_for_a_reason_from_the_list(self, staff: Client, issued: Issued) -> None:
        page = text_of(staff.post(TOKENS, {"action": "hold", "_selected_action": [issued.row.pk]}))

        assert issued.row.public_id in page
        assert 'name="reason"' in page
        assert row_of(issued).holds == []

    def test_asks_for_a_reason_from_the_operation(self, staff: Client, issued: Issued) -> None:
        shown = text_of(staff.get(f"{TOKENS}{issued.row.pk}/change/"))

        for verb in ("hold", "resume", "cancel"):
            address = f"{TOKENS}{verb}/?ids={issued.row.pk}"
            assert address in shown
            assert 'name="reason"' in text_of(staff.get(address))

    def test_holds_with_a_ledger_entry(self, staff: Client, issued: Issued) -> None:
        self.apply(staff, "hold", issued)

        assert row_of(issued).holds == ["staff"]
        entry = LedgerEntry.objects.get(kind="held")
        assert (json.loads(entry.entry)["data"]["by"], entry.note) == ("staff", "asked to")

    def test_says_in_djangos_log_who_it_was(self, staff: Client, issued: Issued) -> None:
        self.apply(staff, "hold", issued)

        logged = LogEntry.objects.get()
        assert (logged.user.get_username(), logged.object_id) == ("staff", str(issued.row.pk))
        assert logged.get_change_message() == "held: asked to"

    def test_resumes_a_client_hold_and_leaves_the_persons(
        self, staff: Client, issued: Issued
    ) -> None:
        for kind in (HoldKind.USER, HoldKind.CLIENT):
            hold_operation(operation_id=issued.row.pk, by=kind)

        self.apply(staff, "resume", issued)

        assert row_of(issued).holds == ["user"]

    def test_cancels(self, staff: Client, issued: Issued) -> None:
        answer = self.apply(staff, "cancel", issued)

        assert "1 cancelled." in text_of(answer)
        assert row_of(issued).cancelled_at is not None

    def test_shows_a_refusal_and_goes_on(
        self, staff: Client, world: mandates.Savings, issued: Issued
    ) -> None:
        ended, live = mandates.issue(world), mandates.issue(world)
        cancel_operation(operation_id=ended.row.pk, by=HoldKind.USER)

        page = text_of(self.apply(staff, "hold", issued, ended, live))

        assert f"Not held: {ended.row.public_id}. The operation has ended" in page
        assert "2 held." in page
        assert row_of(live).holds == row_of(issued).holds == ["staff"]

    def test_needs_a_reason(self, staff: Client, issued: Issued) -> None:
        page = text_of(self.apply(staff, "cancel", issued, reason=" "))

        assert "This field is required." in page
        assert row_of(issued).cancelled_at is None

    @pytest.mark.parametrize("ids", [[], ["x"], ["0" * 32], ["0" * 32] * 200])
    def test_refuses_ids_that_are_none(self, staff: Client, ids: list[str]) -> None:
        assert staff.get(f"{TOKENS}hold/", {"ids": ids}).status_code == 404
        assert staff.post(f"{TOKENS}hold/", {"ids": ids, "reason": "x"}).status_code == 404

    def test_is_not_for_readers(self, reader: Client, issued: Issued) -> None:
        answer = reader.post(f"{TOKENS}cancel/", {"ids": [issued.row.pk], "reason": "x"})
        page = text_of(reader.get(TOKENS)) + text_of(reader.get(f"{TOKENS}{issued.row.pk}/change/"))

        assert answer.status_code == 403
        assert "cancel" not in page.lower().replace("cancelled", "")
        assert row_of(issued).cancelled_at is None

    def test_is_not_for_people_outside(self, client: Client, issued: Issued) -> None:
        client.force_login(factories.charlie())

        answer = client.post(f"{TOKENS}cancel/", {"ids": [issued.row.pk], "reason": "x"})

        assert answer.status_code == 302
        assert row_of(issued).cancelled_at is None
