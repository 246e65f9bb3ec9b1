"""POST /oauth/revoke: a client gives back its own; what it does not own tells it nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import EndReason, SecurityEvent, SessionFamily
from accounts.services.create_service_client import NewServiceClient
from accounts.services.retire_signing_key import retire_signing_key
from accounts.tokens.backend import sign
from batchtokens.models import LedgerEntry, OperationToken, QueuedRun, RunState
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.errors import OperationRevoked
from batchtokens_verifier.jws import Purpose
from tests import factories, mandates
from tests.oauth import REVOKE_URL, TOKEN_URL, Form, refusal, send
from tests.tokens import assemble, claims_of, header_of

pytestmark = pytest.mark.django_db(transaction=True)
PUBLIC = {"client_id": "first-party"}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def stranger() -> NewServiceClient:
    return factories.service_client("stranger", scopes=["token_exchange", "redeem"])


def ask(token: str, by: NewServiceClient | None = None, form: Form | None = None) -> Any:
    return send({"token": token, **(form or {})}, by=by, url=REVOKE_URL)


def give_back(token: str, by: NewServiceClient | None = None, form: Form | None = None) -> Any:
    """Send the token; every success is the same empty answer."""
    answer = ask(token, by, form)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    return answer


def refresh(token: str) -> Any:
    return send({"grant_type": "refresh_token", "refresh_token": token, **PUBLIC}, url=TOKEN_URL)


# Attacks.


@pytest.mark.spec("RFC 7009", "2.1")
@pytest.mark.parametrize("who", ["executor", "stranger"])
def test_nobody_but_its_trigger_gives_an_operation_token_back(
    world: mandates.Savings, stranger: NewServiceClient, who: str
) -> None:
    issued = mandates.issue(world)
    other = {"executor": world.executor, "stranger": stranger}[who]

    foreign = give_back(issued.token, other)
    unknown = give_back("a.b.c", other)

    assert OperationToken.objects.get().cancelled_at is None
    assert foreign.headers.keys() == unknown.headers.keys()
    assert mandates.redeem(world, issued).proceed


def test_the_public_client_cancels_no_operation(world: mandates.Savings) -> None:
    give_back(mandates.issue(world).token, form=PUBLIC)
    assert OperationToken.objects.get().cancelled_at is None


def test_a_client_ends_no_first_party_session(world: mandates.Savings) -> None:
    pair = factories.session_family(world.alice)[1]
    give_back(pair.refresh, world.trigger)
    assert refresh(pair.refresh).status_code == 200


def test_a_forged_token_ends_nothing(world: mandates.Savings) -> None:
    token = mandates.issue(world).token
    forged = assemble(header_of(token), claims_of(token) | {"txn": "another"}, b"\x00" * 64)
    give_back(forged, world.trigger)
    give_back(token + "x", world.trigger)
    assert OperationToken.objects.get().cancelled_at is None


@pytest.mark.parametrize("form", [{}, PUBLIC | {"client_secret": "guess"}], ids=["none", "wrong"])
def test_asks_for_a_client(world: mandates.Savings, form: dict[str, str]) -> None:
    pair = factories.session_family(world.alice)[1]
    assert refusal(ask(pair.refresh, form=form)) == "invalid_client"
    assert refresh(pair.refresh).status_code == 200


def test_the_statements_are_the_same_for_another_s_and_an_unknown_token(
    world: mandates.Savings, stranger: NewServiceClient, django_assert_num_queries: Any
) -> None:
    issued = mandates.issue(world)
    gone = mandates.issue(world)
    OperationToken.objects.filter(pk=gone.row.pk).update(token_hash="x" * 43)
    give_back("a.b.c", stranger)
    for token in (issued.token, gone.token):
        with django_assert_num_queries(2):  # the client, the row that is not there
            give_back(token, stranger)


# What it is for.


def test_its_trigger_cancels_an_operation_for_ever(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )

    give_back(issued.token, world.trigger, {"token_type_hint": "refresh_token"})

    row = OperationToken.objects.get()
    assert row.cancelled_at is not None
    entry = LedgerEntry.objects.get(kind="cancelled")
    assert '"by":"client"' in entry.entry
    assert set(QueuedRun.objects.values_list("state", flat=True)) == {RunState.DEAD}
    with pytest.raises(OperationRevoked):
        mandates.redeem(world, issued)


def test_giving_back_twice_changes_nothing_more(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    give_back(issued.token, world.trigger)
    give_back(issued.token, world.trigger)
    assert LedgerEntry.objects.filter(kind="cancelled").count() == 1


def test_an_operation_that_is_over_stays_as_it_is(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    past = datetime.now(UTC) - timedelta(days=1)
    OperationToken.objects.update(valid_from=past - timedelta(days=1), valid_to=past)
    give_back(issued.token, world.trigger)
    assert OperationToken.objects.get().cancelled_at is None


def test_a_held_operation_can_be_given_back(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    OperationToken.objects.update(holds=[])
    give_back(issued.token, world.trigger)
    assert OperationToken.objects.get().cancelled_at is not None


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense", ""])
def test_a_refresh_token_ends_its_session(world: mandates.Savings, hint: str) -> None:
    pair = factories.session_family(world.alice)[1]

    give_back(pair.refresh, form={**PUBLIC, "token_type_hint": hint})

    family = SessionFamily.objects.get()
    assert family.end_reason == EndReason.LOGOUT
    assert SecurityEvent.objects.filter(code="session_ended").count() == 1
    assert refusal(refresh(pair.refresh)) == "invalid_grant"
    give_back(pair.refresh, form=PUBLIC)
    assert SecurityEvent.objects.filter(code="session_ended").count() == 1


def test_an_older_refresh_token_of_the_family_ends_it_too(world: mandates.Savings) -> None:
    pair = factories.session_family(world.alice)[1]
    successor = refresh(pair.refresh).json()["refresh_token"]
    give_back(pair.refresh, form=PUBLIC)
    assert refusal(refresh(successor)) == "invalid_grant"


@pytest.mark.spec("RFC 7009", "2.2.1")
def test_access_tokens_cannot_be_given_back(
    world: mandates.Savings, stranger: NewServiceClient
) -> None:
    token = factories.access_token_for(world.alice)
    for by in (world.trigger, stranger):
        answer = ask(token, by, {"token_type_hint": "access_token"})
        assert refusal(answer) == "unsupported_token_type"
    assert refusal(ask(token, form=PUBLIC)) == "unsupported_token_type"


def test_names_the_missing_token(world: mandates.Savings) -> None:
    assert refusal(send(PUBLIC, url=REVOKE_URL)) == "invalid_request"


def test_takes_forms_by_post_alone(world: mandates.Savings) -> None:
    answer = send(b"{}", url=REVOKE_URL, content_type="application/json", by=world.trigger)
    assert refusal(answer) == "invalid_request"
    assert answer.status_code == 415


def test_is_limited_as_refreshing_is(settings: Any) -> None:
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_REFRESH = ((1, 3600),)
    answers = [ask("noise", form=PUBLIC).status_code for _ in range(3)]
    assert answers == [200, 429, 429]


@pytest.mark.parametrize("state", ["disowned", "reissued"])
def test_old_bytes_are_given_back_although_their_key_was_found_out(
    world: mandates.Savings, state: str
) -> None:
    """What a trigger has given back must not be signed anew."""
    issued = mandates.issue(world)
    retire_signing_key(kid=issued.row.kid, reason="drill", compromised=True)
    if state == "reissued":
        list(reissue_operations(among=reissuable(), reason="all honest"))

    give_back(issued.token, world.trigger)

    assert OperationToken.objects.get().cancelled_at is not None
    assert not reissuable().exists()


def test_what_a_stolen_key_signs_gives_nothing_back(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    forged = sign(claims_of(issued.token) | {"txn": "another"}, purpose=Purpose.OPERATION).token
    for _ in range(2):
        give_back(forged, world.trigger)
        assert OperationToken.objects.get().cancelled_at is None
        retire_signing_key(kid=issued.row.kid, reason="drill", compromised=True)
