"""Places in status lists: random, unique, drawn again after a clash, from a new list when full."""

import secrets
import struct
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import IntegrityError

from accounts.tokens.backend import verify_token
from batchtokens.models import LedgerEntry, OperationToken, StatusList
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.status import status_places
from batchtokens.services.status.status_places import clash_undone, draw_places, status_list_uri
from batchtokens_verifier.jws import Purpose
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)


def drawing(monkeypatch: pytest.MonkeyPatch, *indexes: int) -> Iterator[int]:
    """Let the next draws be these."""
    left = iter(indexes)
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(left))
    return left


def test_a_new_token_names_its_place_in_its_executors_list() -> None:
    world = mandates.savings()

    issued = mandates.issue(world)

    listed = StatusList.objects.get()
    assert listed.executor == world.executor.client
    assert issued.row.status_list_id == listed.pk
    claims = verify_token(issued.token, purpose=Purpose.OPERATION)
    uri = f"{settings.ISSUER_URL}/oauth/status/{listed.public_id}"
    assert claims["status"] == {"status_list": {"idx": issued.row.status_index, "uri": uri}}
    assert list(claims)[-1] == "status"  # append-only


def test_the_list_begins_with_the_type_and_is_kept() -> None:
    world = mandates.savings()
    assert StatusList.objects.count() == 1

    first, second = mandates.issue(world).row, mandates.issue(world).row

    assert first.status_list_id == second.status_list_id
    assert first.status_index != second.status_index


def test_an_executor_without_a_list_gets_one_with_its_first_token() -> None:
    world = mandates.savings()
    StatusList.objects.all().delete()

    issued = mandates.issue(world)

    assert issued.row.status_list_id == StatusList.objects.get().pk


def test_a_clash_draws_again_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = mandates.savings()
    drawing(monkeypatch, 7, 7, 7, 9)

    first, second = mandates.issue(world), mandates.issue(world)

    assert (first.row.status_index, second.row.status_index) == (7, 9)
    assert OperationToken.objects.count() == LedgerEntry.objects.of_operations().count() == 2
    claims = verify_token(second.token, purpose=Purpose.OPERATION)
    assert claims["status"]["status_list"]["idx"] == 9
    assert list(verify_ledger()) == [(2, [])]
    assert mandates.redeem(world, second).proceed


def test_a_clash_in_a_half_full_list_begins_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = mandates.savings()
    drawing(monkeypatch, 7, 7, 7, 8)
    monkeypatch.setattr(status_places, "SAMPLE", 2**20)
    monkeypatch.setattr(status_places, "FULL", 1)

    first, second = mandates.issue(world), mandates.issue(world)

    assert first.row.status_list_id != second.row.status_list_id
    assert second.row.status_index == 7  # free again: it is another list
    assert first.row.status_list is not None
    assert StatusList.objects.get(pk=first.row.status_list.pk).full_at is not None
    assert mandates.issue(world).row.status_list_id == second.row.status_list_id


def test_other_broken_constraints_are_no_clash() -> None:
    with pytest.raises(IntegrityError, match="subject"), clash_undone():
        raise IntegrityError("operation_token_one_per_subject_token")


def test_many_places_are_free_and_different(monkeypatch: pytest.MonkeyPatch) -> None:
    world = mandates.savings()
    taken, listed = mandates.issue(world).row, StatusList.objects.get().pk
    real = secrets.token_bytes
    taken_thrice = struct.pack("3I", *[taken.status_index] * 3)
    monkeypatch.setattr(secrets, "token_bytes", lambda n: taken_thrice + real(n - 12))

    places = draw_places(listed, 100)

    assert len({place.index for place in places}) == 100
    assert taken.status_index not in {place.index for place in places}
    uri = status_list_uri(listed)
    assert {place.claim()["status_list"]["uri"] for place in places} == {uri}
