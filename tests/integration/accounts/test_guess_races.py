"""Many guesses, and many uses of one code, at the same instant (SQLite has one writer)."""

from functools import partial
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.errors import AccountsError
from accounts.models import (
    Authenticator,
    RecoveryCode,
    RequestContext,
    SecurityEvent,
    SessionFamily,
    SignInChallenge,
    User,
)
from accounts.services.check_password import check_password
from accounts.services.complete_sign_in import complete_sign_in
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.sign_in import sign_in
from accounts.services.verify_second_factor import verify_second_factor
from tests import factories
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
]
GUESSES = 64
THREADS = 16
NOON = 1_800_000_000  # a step of 30 s begins here


@pytest.fixture
def alice() -> User:
    return factories.alice()


def outcome(call: Any, **arguments: Any) -> str:
    try:
        call(**arguments)
    except AccountsError as refusal:
        return refusal.code
    return "in"


def guesses(name: str) -> list[Any]:
    """Return so many of one instant, however long the machine takes over them."""
    now = timezone.now()
    return [
        partial(
            outcome,
            check_password,
            username=name,
            password="wrong guess",
            context=RequestContext(f"10.9.0.{number + 1}"),
            now=now,
        )
        for number in range(GUESSES)
    ]


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_no_more_are_judged_than_the_free_ones(alice: User, settings: Any, name: str) -> None:
    settings.RATE_LIMITS = True

    answers = at_once(*guesses(name))

    # The tenth begins a wait of a second.
    assert answers.count("invalid_credentials") == 10
    assert answers.count("rate_limited") == GUESSES - 10
    assert Authenticator.objects.get().failures == 10


def test_only_the_hundredth_is_judged_of_many(alice: User, monkeypatch: Any) -> None:
    Authenticator.objects.create(user=alice, kind="password", failures=99)
    judged: list[str] = []
    monkeypatch.setattr(User, "check_password", lambda _person, word: judged.append(word))

    answers = at_once(*guesses("alice"))

    assert (set(answers), judged) == ({"invalid_credentials"}, ["wrong guess"])
    assert SecurityEvent.objects.filter(code="authenticator_disabled").count() == 1


@pytest.mark.parametrize("kind", ["code", "recovery code"])
def test_a_code_opens_once(alice: User, kind: str) -> None:
    _, code = factories.totp_device(alice)
    with time_machine.travel(NOON, tick=False):
        shown = code() if kind == "code" else factories.recovery_code(alice)

        answers = at_once(
            *[partial(outcome, verify_second_factor, user=alice, code=shown)] * THREADS
        )

    assert sorted(answers) == ["in", *["invalid_otp"] * (THREADS - 1)]


def test_a_challenge_opens_once_for_several_right_codes(alice: User) -> None:
    with time_machine.travel(NOON, tick=False):
        ensure_signing_keys()
    _, code = factories.totp_device(alice)
    recovery = [factories.recovery_code(alice, f"ABCD-EFGH-IJKL-MN2{n}") for n in range(2, 5)]

    with time_machine.travel(NOON, tick=False):
        mfa_token = _challenge_of(alice)
        answers = at_once(
            *(
                partial(outcome, complete_sign_in, mfa_token=mfa_token, otp=otp)
                for otp in [code(), *recovery]
            )
        )

    assert answers.count("in") == 1
    assert set(answers) == {"in", "mfa_token_not_valid"}
    assert SessionFamily.objects.count() == 1
    assert RecoveryCode.objects.unused().count() <= len(recovery)


def test_no_more_than_five_guesses_at_a_challenge_are_judged(alice: User) -> None:
    factories.totp_device(alice)
    mfa_token = _challenge_of(alice)

    call = partial(outcome, complete_sign_in, mfa_token=mfa_token, otp="000000")
    answers = at_once(*[call] * THREADS)

    assert answers.count("invalid_otp") == 5
    assert answers.count("mfa_token_not_valid") == THREADS - 5
    assert SignInChallenge.objects.get().tries == 5
    assert Authenticator.objects.get(kind="second_factor").failures == 5


def _challenge_of(alice: User) -> str:
    try:
        sign_in(username=alice.username, password=factories.PASSWORD)
    except AccountsError as asked:
        return str(asked.members()["mfa_token"])
    raise AssertionError("no second factor was asked for")
