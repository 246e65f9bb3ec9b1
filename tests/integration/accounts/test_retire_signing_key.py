"""services.retire_signing_key: a key ends before its successor would have ended it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import SecurityEvent, SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.services.verify_access_token import verify_access_token
from accounts.tokens.backend import sign
from accounts.tokens.errors import NoSigningKey, SigningKeyNotOurs, SigningKeyUnknown
from accounts.tokens.key_states import KeyState, key_states
from accounts.tokens.key_store import key_store
from accounts.tokens.keyring import current_key_ring, load_key_ring
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import Purpose
from tests import factories
from tests.tokens import header_of

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def kid_of(purpose: Purpose) -> str:
    return current_key_ring().signing_key(purpose, timezone.now()).kid


def published(*, at: datetime | None = None) -> set[str]:
    return {key["kid"] for key in load_key_ring(now=at).jwks()["keys"]}


def state_of(kid: str) -> KeyState:
    return key_states(SigningKey.objects.all(), now=timezone.now())[kid]


def retire(kid: str, **how: Any) -> SigningKey:
    return retire_signing_key(kid=kid, reason="drill", **how)


@pytest.fixture
def old() -> str:
    ensure_signing_keys()
    return kid_of(Purpose.ACCESS)


def test_makes_a_successor_that_signs_at_once(old: str) -> None:
    retire(old)

    assert kid_of(Purpose.ACCESS) != old
    assert state_of(old) == KeyState.RETIRED
    assert SigningKey.objects.for_purpose("access").count() == 2


def test_lets_the_next_published_key_take_over(old: str) -> None:
    (upcoming,) = rotate_signing_keys(overlap=HOUR, purposes=[Purpose.ACCESS])

    retire(old)

    assert kid_of(Purpose.ACCESS) == upcoming.kid
    assert SigningKey.objects.for_purpose("access").count() == 2


def test_tokens_of_a_retired_key_live_on(old: str) -> None:
    alice = factories.alice()
    token = factories.access_token_for(alice)

    retire(old)

    assert verify_access_token(token).subject == alice
    assert old in published()


def test_a_compromised_key_is_believed_no_more(old: str) -> None:
    alice = factories.alice()
    token = factories.access_token_for(alice)

    retire(old, compromised=True)

    with pytest.raises(TokenNotValid):
        verify_access_token(token)
    assert old not in published()
    assert state_of(old) == KeyState.COMPROMISED
    assert header_of(factories.access_token_for(alice))["kid"] != old


def test_a_retired_key_may_turn_out_to_be_compromised(old: str) -> None:
    retired_at = retire(old).retired_at

    key = retire(old, compromised=True)

    assert (key.retired_at, old in published()) == (retired_at, False)


@pytest.mark.parametrize("compromised", [False, True])
def test_ends_once(old: str, compromised: bool) -> None:
    first = retire(old, compromised=compromised)

    again = retire(old, compromised=compromised)

    assert (again.retired_at, again.compromised_at) == (first.retired_at, first.compromised_at)
    assert SigningKey.objects.for_purpose("access").count() == 2
    assert SecurityEvent.objects.filter(code__startswith="signing_key_").count() == 1


@pytest.mark.parametrize("compromised", [False, True])
def test_destroys_the_private_part(old: str, compromised: bool) -> None:
    key = retire(old, compromised=compromised)

    with pytest.raises(NoSigningKey):
        key_store.open(SigningKey.objects.get(pk=key.pk)).sign(b"anything")


def test_a_superseded_key_never_signs_again(old: str) -> None:
    rotate_signing_keys(overlap=timedelta(0), purposes=[Purpose.ACCESS])

    retire(kid_of(Purpose.ACCESS))

    assert kid_of(Purpose.ACCESS) != old
    assert SigningKey.objects.for_purpose("access").count() == 3


def test_an_upcoming_key_is_withdrawn(old: str) -> None:
    (upcoming,) = rotate_signing_keys(overlap=HOUR, purposes=[Purpose.ACCESS])

    retire(upcoming.kid)

    later = timezone.now() + 2 * HOUR
    assert upcoming.kid not in published()
    assert load_key_ring(now=later).signing_key(Purpose.ACCESS, later).kid == old


def test_an_upcoming_key_can_be_compromised(old: str) -> None:
    (upcoming,) = rotate_signing_keys(overlap=HOUR, purposes=[Purpose.ACCESS])

    retire(upcoming.kid, compromised=True)

    assert state_of(upcoming.kid) == KeyState.COMPROMISED
    assert kid_of(Purpose.ACCESS) == old


def test_unknown_keys_are_refused(old: str) -> None:
    with pytest.raises(SigningKeyUnknown):
        retire("unknown")


def test_a_row_of_somebody_elses_is_not_touched(old: str) -> None:
    SigningKey.objects.filter(kid=old).update(alg="EdDSA")

    with pytest.raises(SigningKeyNotOurs):
        retire(old)

    assert SigningKey.objects.get(kid=old).retired_at is None


def test_stays_published_for_what_other_processes_sign_meanwhile(old: str) -> None:
    retired_at = retire(old).retired_at
    assert retired_at is not None
    last = retired_at + settings.KEY_RING_TTL + settings.ACCESS_TOKEN_LIFETIME

    assert old in published(at=last - timedelta(seconds=1))
    assert old not in published(at=last)


def test_signs_nothing_where_every_key_was_taken_away(old: str) -> None:
    retire(old)
    SigningKey.objects.for_purpose("access").exclude(kid=old).delete()

    with pytest.raises(NoSigningKey):
        sign({}, purpose=Purpose.ACCESS)
