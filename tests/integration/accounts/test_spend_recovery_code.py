"""Recovery codes: each opens once, for its own person, however it is typed."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import RecoveryCode, User
from accounts.services.spend_recovery_code import recovery_digests, spend_recovery_code
from tests import factories

pytestmark = pytest.mark.django_db
CODE = "ABIO2345LMNOPQ67"


@pytest.fixture
def alice() -> User:
    alice = factories.alice()
    RecoveryCode.objects.create(user=alice, digest=recovery_digests(alice.pk, CODE)[0])
    return alice


def spend(user: User, code: str = CODE) -> bool:
    return spend_recovery_code(user=user, code=code, now=timezone.now())


def test_opens_once(alice: User) -> None:
    assert spend(alice)
    assert not spend(alice)
    assert RecoveryCode.objects.get().used_at


@pytest.mark.parametrize(
    "typed",
    [
        "abio-2345-lmno-pq67",
        " ABIO 2345 LMNO PQ67 ",
        "A8IO2345LMNOPQ67",
        "ab102345lmn0pq67",
        "ABIO\u20132345\u2013LMNO\u2013PQ67",
        "ABIO\u00a02345\tLMNO\nPQ67",
    ],
)
def test_forgives_how_it_is_typed(alice: User, typed: str) -> None:
    assert spend(alice, typed)


@pytest.mark.parametrize(
    "typed", ["", CODE[:-1], CODE + "A", CODE[:-1] + "B", CODE[:-1] + "9", "ß" * 8, "\0" * 16]
)
def test_refuses_anything_else(alice: User, typed: str) -> None:
    assert not spend(alice, typed)
    assert not RecoveryCode.objects.get().used_at


def test_opens_nobody_elses_account(alice: User) -> None:
    assert not spend(factories.bob())
    assert not RecoveryCode.objects.get().used_at


def test_opens_under_an_older_key_until_it_is_removed(alice: User, settings: Any) -> None:
    old = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [b"n" * 32]
    assert not spend(alice)

    settings.FIELD_ENCRYPTION_KEYS = [b"n" * 32, *old]
    assert spend(alice)
