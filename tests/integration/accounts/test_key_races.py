"""One successor a key and one use an assertion, however many come at once."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.errors import ApiKeyNotRotatable, InvalidClient, TooManyApiKeys
from accounts.models import ApiKey, ClientAssertion, EmailKind, OutgoingEmail, SecurityEvent, User
from accounts.services.authenticate_assertion import authenticate_assertion
from accounts.services.create_api_key import MOST_KEYS, create_api_key
from accounts.services.rotate_api_key import rotate_api_key
from accounts.services.warn_expiring_keys import warn_expiring_keys
from tests import factories
from tests.assertions import claims, client_with, new_key, sign
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]
THREADS = 32
ROUNDS = 10


@pytest.fixture
def alice() -> User:
    return factories.alice()


def key_of(person: User) -> ApiKey:
    ends = timezone.now() + timedelta(days=1)
    return create_api_key(owner=person, name="k", scopes=["profile"], expires_at=ends).api_key


def test_an_assertion_counts_once() -> None:
    key = new_key()
    client_with(key)

    for turn in range(ROUNDS):
        # Not one text: other signatures over the same name count together, too.
        texts = [sign(key, claims(jti=f"turn {turn}")) for _ in range(THREADS)]

        def show(text: str) -> bool:
            try:
                authenticate_assertion(assertion=text, audiences=[settings.ISSUER_URL])
            except InvalidClient:
                return False
            return True

        assert sum(at_once(*[lambda text=text: show(text) for text in texts])) == 1
    assert ClientAssertion.objects.count() == ROUNDS
    refused = SecurityEvent.objects.filter(code="client_refused")
    assert sum(refused.values_list("count", flat=True)) == ROUNDS * (THREADS - 1)


def test_a_key_has_one_successor(alice: User) -> None:
    for turn in range(ROUNDS):
        old = key_of(alice)

        def rotate(old: ApiKey = old) -> bool:
            try:
                rotate_api_key(api_key=old, overlap=timedelta(hours=1))
            except ApiKeyNotRotatable:
                return False
            return True

        assert sum(at_once(*[rotate] * THREADS)) == 1
        assert ApiKey.objects.count() == 2 * (turn + 1)
        assert SecurityEvent.objects.filter(code="api_key_rotated").count() == turn + 1


def test_a_person_has_no_more_keys_than_allowed(alice: User) -> None:
    for _ in range(MOST_KEYS - 1):
        key_of(alice)

    def make() -> bool:
        try:
            key_of(alice)
        except TooManyApiKeys:
            return False
        return True

    assert sum(at_once(*[make] * THREADS)) == 1
    assert ApiKey.objects.count() == MOST_KEYS


def test_a_key_is_warned_of_once(alice: User) -> None:
    key_of(alice)

    assert sum(at_once(*[warn_expiring_keys] * 8)) == 1
    assert OutgoingEmail.objects.filter(kind=EmailKind.API_KEY_EXPIRING).count() == 1
