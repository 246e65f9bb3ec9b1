"""GET /oauth/status/{id}: what may be asked of it, and in which form it answers."""

import pytest
from django.test import Client

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import StatusList
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path() -> str:
    """Return the address of a list with one token in it."""
    ensure_signing_keys()
    mandates.issue(mandates.savings())
    return f"/oauth/status/{StatusList.objects.get().public_id}"


@pytest.mark.spec("draft-ietf-oauth-status-list", "8.4")
@pytest.mark.parametrize("asked", ["1796112000", "0", "", "now"])
def test_an_earlier_list_is_not_to_be_had(path: str, asked: str) -> None:
    etag = Client().get(path).headers["ETag"]

    answer = Client().get(path, {"time": asked}, headers={"If-None-Match": etag})

    assert (answer.status_code, answer.json()["error"]) == (501, "invalid_request")
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unknown_parameter_changes_nothing(path: str) -> None:
    assert Client().get(path, {"times": "1"}).status_code == 200


@pytest.mark.spec("draft-ietf-oauth-status-list", "8.1")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/statuslist+jwt", 200),
        ("application/statuslist+cwt, application/statuslist+jwt;q=0.1", 200),
        ("application/*", 200),
        ("*/*", 200),
        ("", 200),
        ("application/statuslist+cwt", 406),
        ("application/json", 406),
    ],
)
def test_a_list_comes_in_the_form_that_is_asked_for_or_not_at_all(
    path: str, accept: str, status: int
) -> None:
    headers = {"Accept": accept} if accept else {}

    answer = Client().get(path, headers=headers)

    assert answer.status_code == status
    assert (answer.headers["Content-Type"] == "application/statuslist+jwt") is (status == 200)
