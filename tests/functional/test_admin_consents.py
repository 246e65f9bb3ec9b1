"""Consents in the admin: found by person, digest or operation; shown, and never changed."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from batchtokens.models import Consent
from tests import factories, mandates

pytestmark = pytest.mark.django_db

PAGE = "/admin/batchtokens/consent/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


@pytest.fixture
def bought() -> Consent:
    row = mandates.issue(mandates.exact()).row
    assert row.consent is not None
    return row.consent


def test_are_listed(staff: Client, bought: Consent) -> None:
    page = staff.get(PAGE).content.decode()

    assert bought.public_id in page
    assert "Spent" in page


def test_show_the_text_as_shown(staff: Client, bought: Consent) -> None:
    page = staff.get(f"{PAGE}{bought.pk}/change/").content.decode()

    assert bought.summary in page
    assert bought.mandate_digest in page
    assert bought.operation_token.public_id in page
    assert 'name="_save"' not in page


def test_show_what_bought_nothing(staff: Client) -> None:
    shown = mandates.consent(mandates.exact(), confirmed=False)

    page = staff.get(f"{PAGE}{shown.pk}/change/")

    assert page.status_code == 200


def test_are_found(staff: Client, bought: Consent) -> None:
    for wanted in (bought.operation_token.public_id, "alice", bought.mandate_digest):
        assert bought.public_id in staff.get(PAGE, {"q": wanted}).content.decode()
    assert bought.public_id not in staff.get(PAGE, {"q": "bob"}).content.decode()


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_are_neither_added_nor_deleted(staff: Client, bought: Consent, path: str) -> None:
    assert staff.post(f"{PAGE}{path.format(pk=bought.pk)}").status_code == 403
    assert Consent.objects.exists()


def test_need_no_more_statements_for_many(staff: Client) -> None:
    world, counts = mandates.exact(max_live_mandates=100), []
    for more in (3, 9):
        for _ in range(more):
            mandates.issue(world)
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(PAGE).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 14
