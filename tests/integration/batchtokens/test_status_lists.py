"""services.status_lists: one thread signs a list, and nobody waits for another list."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import time_machine

from accounts.ids import public_id
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import StatusList
from batchtokens.services.status import status_lists
from batchtokens.services.status.status_lists import (
    SignedList,
    forget_status_lists,
    sign_status_list,
)
from tests import mandates
from tests.tokens import header_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_copies() -> Iterator[None]:
    forget_status_lists()
    yield
    forget_status_lists()


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


def test_another_keys_list_is_another(world: mandates.Savings) -> None:
    """Or whoever has a list of a key that was found out would be told to keep it."""
    mandates.issue(world)
    listed = StatusList.objects.get().public_id
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        first = sign_status_list(public_id=listed)
        kid = header_of(first.token)["kid"]
        retire_signing_key(kid=kid, reason="drill", compromised=True)
        forget_status_lists()
        assert sign_status_list(public_id=listed).etag != first.etag


def test_a_slow_list_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = "stl_" + 32 * "1", "stl_" + 32 * "2"
    begun, go_on = threading.Event(), threading.Event()
    signed: list[str] = []

    def sign(key: uuid.UUID) -> SignedList:
        name = public_id("stl", key)
        signed.append(name)
        if name == slow:
            begun.set()
            assert go_on.wait(10)
        return SignedList(name, "etag")

    monkeypatch.setattr(status_lists, "_sign", sign)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(sign_status_list, public_id=slow) for _ in range(2)]
        assert begun.wait(10)
        assert pool.submit(sign_status_list, public_id=quick).result(timeout=10).token == quick
        go_on.set()
        assert [each.result(timeout=10).token for each in waiting] == [slow, slow]

    assert sorted(signed) == [slow, quick]  # who asked for the same list did not read it again
