"""Eight threads refresh one token at once (PostgreSQL: SQLite has one writer)."""

from functools import partial

import pytest

from accounts.models import EndReason, SecurityEvent, SessionFamily
from accounts.services.refresh_session import refresh_session
from batchtokens_verifier.errors import TokenNotValid
from tests import factories
from tests.races import at_once
from tests.tokens import claims_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
]
THREADS = 8
ROUNDS = 20


def name_of_successor(token: str) -> str:
    return str(claims_of(refresh_session(token=token).refresh)["jti"])


def test_all_get_the_one_successor() -> None:
    _, pair = factories.session_family(factories.alice())
    token = pair.refresh

    for _ in range(ROUNDS):
        names = at_once(*[partial(name_of_successor, token)] * THREADS)

        assert len(set(names)) == 1
        token = refresh_session(token=token).refresh


def outcome(token: str) -> str:
    try:
        refresh_session(token=token)
    except TokenNotValid:
        return "refused"
    return "refreshed"


def test_a_replay_ends_the_family_once() -> None:
    _, pair = factories.session_family(factories.alice())
    refresh_session(token=refresh_session(token=pair.refresh).refresh)

    outcomes = at_once(*[partial(outcome, pair.refresh)] * THREADS)

    assert set(outcomes) == {"refused"}
    assert SessionFamily.objects.get().end_reason == EndReason.REPLAY
    assert SecurityEvent.objects.filter(code="refresh_replayed").count() == 1
