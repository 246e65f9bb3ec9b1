"""services.refresh_session: one successor, a short grace, and the end of a replayed family."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import EndReason, RequestContext, SessionFamily, User
from accounts.services.refresh_session import GRACE, refresh_session
from accounts.services.rotate_signing_keys import rotate_signing_keys
from accounts.tokens.pair import TokenPair
from batchtokens_verifier.errors import TokenNotValid
from tests import factories
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db
PHONE = RequestContext(address="192.0.2.7", user_agent="phone")
SECOND = timedelta(seconds=1)


@pytest.fixture
def parent() -> str:
    return factories.session_family(factories.alice())[1].refresh


def refresh(
    token: str, *, at: datetime | None = None, key: str = "", context: RequestContext = PHONE
) -> TokenPair:
    return refresh_session(token=token, idempotency_key=key, context=context, now=at)


def jti(pair: TokenPair) -> str:
    return str(claims_of(pair.refresh)["jti"])


def ended() -> str:
    return SessionFamily.objects.get().end_reason


@pytest.mark.parametrize("late", [timedelta(0), GRACE - SECOND])
def test_signs_the_successor_again_within_the_grace(parent: str, late: timedelta) -> None:
    now = timezone.now()
    first = refresh(parent, at=now)

    assert jti(refresh(parent, at=now + late)) == jti(first)


@pytest.mark.parametrize("late", [GRACE, GRACE + SECOND])
def test_takes_a_late_repetition_for_a_replay(parent: str, late: timedelta) -> None:
    now = timezone.now()
    refresh(parent, at=now)

    with pytest.raises(TokenNotValid):
        refresh(parent, at=now + late)

    assert ended() == EndReason.REPLAY


def test_signs_it_again_at_most_ten_times(parent: str) -> None:
    names = {jti(refresh(parent)) for _ in range(11)}

    with pytest.raises(TokenNotValid):
        refresh(parent)

    assert len(names) == 1
    assert ended() == EndReason.REPLAY


def test_takes_a_parent_with_a_used_successor_for_a_replay(parent: str) -> None:
    refresh(refresh(parent).refresh)

    with pytest.raises(TokenNotValid):
        refresh(parent)

    assert ended() == EndReason.REPLAY


@pytest.mark.parametrize(
    "thief",
    [
        RequestContext(address="192.0.2.8", user_agent="phone"),
        RequestContext(address="192.0.2.7", user_agent="laptop"),
    ],
    ids=["another address", "another agent"],
)
def test_takes_another_caller_for_a_thief(parent: str, thief: RequestContext) -> None:
    refresh(parent, key="one")

    with pytest.raises(TokenNotValid):
        refresh(parent, key="two", context=thief)

    assert ended() == EndReason.REPLAY


def test_knows_the_same_request_by_its_key(parent: str) -> None:
    first = refresh(parent, key="one")
    moved = RequestContext(address="198.51.100.1", user_agent="phone")

    assert jti(refresh(parent, key="one", context=moved)) == jti(first)


def test_counts_repetitions_for_each_parent(parent: str) -> None:
    for _ in range(11):
        pair = refresh(parent)

    successor = {jti(refresh(pair.refresh)) for _ in range(11)}

    assert len(successor) == 1


def test_never_outlives_the_family(parent: str) -> None:
    family = SessionFamily.objects.get()
    near = family.expires_at - timedelta(minutes=1)
    SessionFamily.objects.update(created_at=near - timedelta(days=1), expires_at=near)

    pair = refresh(parent, at=near - timedelta(minutes=5))

    assert claims_of(pair.refresh)["exp"] == int(near.timestamp())
    assert pair.expires_in == 300


def test_refuses_an_expired_family(parent: str) -> None:
    with pytest.raises(TokenNotValid):
        refresh(parent, at=SessionFamily.objects.get().expires_at)


def test_refuses_another_clients_token(parent: str) -> None:
    with pytest.raises(TokenNotValid):
        refresh_session(token=parent, client_id="another")

    assert ended() == ""


def test_refuses_the_token_of_a_deleted_person(parent: str) -> None:
    User.objects.all().delete()

    with pytest.raises(TokenNotValid):
        refresh(parent)


def test_survives_a_rotation_of_the_signing_keys(parent: str) -> None:
    rotate_signing_keys(overlap=timedelta(0))

    assert jti(refresh(refresh(parent).refresh))


def test_stores_digests_alone(parent: str) -> None:
    pair = refresh(parent, key="key-of-the-request")

    row = str(SessionFamily.objects.values().get())
    for secret in (parent, pair.refresh, jti(pair), claims_of(parent)["jti"], "key-of-the"):
        assert secret not in row


def test_drops_a_meta_scope_that_was_taken_away() -> None:
    alice = factories.alice(may_ask_for=["savings"])
    _, pair = factories.session_family(alice, scope="profile savings transfer")

    renewed = refresh(pair.refresh)
    alice.groups.clear()
    again = refresh(renewed.refresh)

    assert [pair.scope for pair in (renewed, again)] == ["profile savings", "profile"]
    assert claims_of(again.access)["scope"] == "profile"
