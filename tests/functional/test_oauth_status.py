"""GET /oauth/status/{id}: what offline verifiers learn, and what nobody else does."""

import base64
import json
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import ServiceClient, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
    STATUS_LIST_SIZE,
    HoldKind,
    OperationToken,
    OperationType,
    StatusList,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.settle import Closing, settle_redemption
from batchtokens.services.status import status_lists
from batchtokens.services.status.status_lists import forget_status_lists, pack, sign_status_list
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.status_list import verify_status_list
from tests import mandates
from tests.budgets import budget
from tests.oauth import INTROSPECT_URL, send
from tests.tokens import claims_of, header_of

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


def path() -> str:
    return f"/oauth/status/{StatusList.objects.get().public_id}"


def fetch(client: Client | None = None, **headers: str) -> Any:
    return (client or Client()).get(path(), headers=headers)


def told(issued: Issued) -> int:
    """Return what the list says of a token, as a verifier reads it."""
    forget_status_lists()
    named = claims_of(issued.token)["status"]["status_list"]
    listed = verify_status_list(
        fetch().content.decode(),
        keys=current_key_ring().verification_keys(),
        uri=named["uri"],
        now=datetime.now(UTC),
        issuer=settings.ISSUER_URL,
    )
    return listed.value(named["idx"])


def is_active(world: mandates.Savings, issued: Issued) -> bool:
    answer = send({"token": issued.token}, by=world.executor, url=INTROSPECT_URL)
    return bool(answer.json()["active"])


@pytest.mark.spec("draft-ietf-oauth-status-list", "5.1")
def test_is_a_signed_list_with_its_address_and_its_times(world: mandates.Savings) -> None:
    issued = mandates.issue(world)

    answer = fetch()

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/statuslist+jwt"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    token = answer.content.decode()
    assert header_of(token)["typ"] == "statuslist+jwt"
    claims = claims_of(token)
    assert claims["sub"] == claims_of(issued.token)["status"]["status_list"]["uri"]
    assert (claims["ttl"], claims["exp"] - claims["iat"]) == (300, 3600)
    assert abs(claims["iat"] - time.time()) < 5
    assert claims["status_list"]["bits"] == 2
    raw = zlib.decompress(base64.urlsafe_b64decode(claims["status_list"]["lst"] + "=="))
    assert raw == bytes(STATUS_LIST_SIZE // 4)


@pytest.mark.spec("draft-ietf-oauth-status-list", "4")
def test_packs_two_bits_an_entry_the_first_in_the_lowest() -> None:
    # Section 4.1's example of two bits: 1 2 0 3 0 1 0 1 1 2 3 3.
    statuses = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    assert pack(enumerate(statuses))[:3] == bytes([0xC9, 0x44, 0xF9])


def test_a_valid_token_and_every_free_place_look_the_same(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    before = claims_of(fetch().content.decode())["status_list"]
    mandates.issue(world)
    forget_status_lists()

    assert claims_of(fetch().content.decode())["status_list"] == before
    assert told(issued) == 0


def switch_off(model: Any, **which: Any) -> Callable[[mandates.Savings, Issued], object]:
    return lambda world, issued: model.objects.filter(**which).update(is_active=False)


def settle(world: mandates.Savings, issued: Issued) -> None:
    answer = mandates.redeem(world, issued)
    settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1))


STOPS: dict[str, Callable[[mandates.Savings, Issued], object]] = {
    "held": lambda world, issued: hold_operation(operation_id=issued.row.pk, by=HoldKind.USER),
    "cancelled": lambda world, issued: cancel_operation(
        operation_id=issued.row.pk, by=HoldKind.USER
    ),
    "completed": settle,
    "disowned": lambda world, issued: OperationToken.objects.update(disowned_at=datetime.now(UTC)),
    "user": switch_off(User, username="alice"),
    "trigger": switch_off(ServiceClient, client_id="trigger"),
    "type": switch_off(OperationType),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS.keys())
def test_what_stops_a_token_shows_in_the_list_as_in_introspection(
    world: mandates.Savings, stop: Callable[[mandates.Savings, Issued], object]
) -> None:
    stopped = mandates.issue(world, max_occurrences=1, periodic_limits=None)
    assert (told(stopped), is_active(world, stopped)) == (0, True)

    stop(world, stopped)

    assert (told(stopped), is_active(world, stopped)) == (1, False)


def test_an_executor_that_is_switched_off_has_no_valid_tokens(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    ServiceClient.objects.filter(client_id="savings").update(is_active=False)
    assert told(issued) == 1


def test_a_hold_shows_as_suspended_where_the_type_says_so(world: mandates.Savings) -> None:
    OperationType.objects.update(shows_suspended=True)
    issued = mandates.issue(world)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    assert told(issued) == 2
    resume_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    assert told(issued) == 0
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    assert told(issued) == 1


def test_an_old_token_without_a_place_is_in_no_list(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    OperationToken.objects.update(status_list=None, status_index=None)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    assert told(issued) == 0
    assert not is_active(world, issued)


HOLDS = st.lists(st.sampled_from(sorted(HoldKind)), unique=True).map(sorted)
FLAGS = st.fixed_dictionaries(
    {name: st.booleans() for name in ("user", "trigger", "type", "cancelled", "disowned")}
)


def test_list_and_introspection_agree_over_generated_states(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    row = OperationToken.objects.filter(pk=issued.row.pk)

    @given(HOLDS, FLAGS, st.integers(0, 2), st.integers(0, 2), st.booleans())
    def agree(
        holds: list[str], flags: dict[str, bool], settled: int, most: int, suspends: bool
    ) -> None:
        now = datetime.now(UTC)
        row.update(
            holds=[str(hold) for hold in holds],
            cancelled_at=now if flags["cancelled"] else None,
            disowned_at=now if flags["disowned"] else None,
            settled_count=min(settled, most + 1),
            taken_count=min(settled, most + 1),
            max_occurrences=most + 1,
        )
        User.objects.update(is_active=not flags["user"])
        ServiceClient.objects.filter(client_id="trigger").update(is_active=not flags["trigger"])
        OperationType.objects.update(is_active=not flags["type"], shows_suspended=suspends)

        assert is_active(world, issued) == (told(issued) == 0)

    agree()


def test_whoever_has_the_list_gets_304_until_it_changes_or_grows_old(
    world: mandates.Savings,
) -> None:
    issued = mandates.issue(world)
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        etag = fetch().headers["ETag"]
        forget_status_lists()  # as another process would
        again = fetch(**{"If-None-Match": etag})
        hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
        forget_status_lists()
        changed = fetch(**{"If-None-Match": etag})
    assert etag.startswith('W/"')
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == etag
    assert again.headers["Cache-Control"] == "public, max-age=60"
    assert changed.status_code == 200


def test_answers_head_and_nothing_that_changes(world: mandates.Savings) -> None:
    head = Client().head(path())
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"]
    assert Client().post(path()).status_code == 405


@pytest.mark.parametrize("name", ["stl_" + 32 * "0", "stl_1", "op_" + 32 * "0", "x" * 500])
def test_an_unknown_list_is_not_found(name: str) -> None:
    answer = Client().get(f"/oauth/status/{name}")
    assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_forged_or_expired_list_tells_a_verifier_nothing(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    keys, uri = current_key_ring().verification_keys(), claims_of(issued.token)["status"]
    token = fetch().content.decode()
    header, payload, signature = token.split(".")
    claims = claims_of(token) | {"status_list": {"bits": 2, "lst": "eNoDAAAAAAE"}}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    now, named = datetime.now(UTC), uri["status_list"]["uri"]
    with pytest.raises(TokenNotValid):
        verify_status_list(f"{header}.{forged}.{signature}", keys=keys, uri=named, now=now)
    with pytest.raises(TokenNotValid):
        verify_status_list(token, keys=keys, uri=f"{named}0", now=now)
    with pytest.raises(TokenNotValid):
        verify_status_list(token, keys=keys, uri=named, now=now + timedelta(hours=1))
    assert payload != forged


def test_a_process_asks_the_database_once_in_a_few_seconds(world: mandates.Savings) -> None:
    mandates.issue(world)
    address = path()
    first = Client().get(address).content
    with budget(0):
        assert Client().get(address).content == first
    forget_status_lists()
    with budget(3):
        assert Client().get(address).status_code == 200


def test_a_hold_shows_within_seconds(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = mandates.issue(world)
    before = fetch().headers["ETag"]
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    monkeypatch.setattr(status_lists, "KEPT", 0.0)
    assert fetch().headers["ETag"] != before


def test_a_list_with_few_entries_costs_little(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    public_id = StatusList.objects.get().public_id
    sign_status_list(public_id=public_id)
    costs = []
    for _ in range(5):
        forget_status_lists()
        begun = time.process_time()
        sign_status_list(public_id=public_id)
        costs.append(time.process_time() - begun)
    assert min(costs) < 0.05
