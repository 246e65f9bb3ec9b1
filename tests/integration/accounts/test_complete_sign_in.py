"""What ends a sign-in that waits for its second factor, and what does not."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.errors import (
    InvalidCredentials,
    InvalidOtp,
    MfaRequired,
    MfaTokenNotValid,
    WaitForAttempt,
)
from accounts.models import (
    Acr,
    Amr,
    Authenticator,
    RequestContext,
    SessionFamily,
    SignInChallenge,
    User,
)
from accounts.services.begin_session import begin_session
from accounts.services.change_password import change_password
from accounts.services.complete_sign_in import complete_sign_in
from accounts.services.disable_totp import disable_totp
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.sign_in import sign_in
from tests import factories, meta_scopes

pytestmark = pytest.mark.django_db
NOON = 1_800_000_000  # a step of 30 s begins here
STRANGER = RequestContext("203.0.113.9")


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        ensure_signing_keys()
        yield


@pytest.fixture
def alice() -> User:
    return factories.alice()


def mfa_token_of(person: User) -> str:
    with pytest.raises(MfaRequired) as asked:
        sign_in(username=person.username, password=factories.PASSWORD)
    return asked.value.mfa_token


def test_a_wait_costs_no_try(alice: User, settings: Any) -> None:
    _, code = factories.totp_device(alice)
    mfa_token = mfa_token_of(alice)
    settings.RATE_LIMITS = True
    Authenticator.objects.create(
        user=alice,
        kind="second_factor",
        failures=20,
        strangers_wait_until=timezone.now() + timedelta(minutes=15),
    )

    for _ in range(6):
        with pytest.raises(WaitForAttempt):
            complete_sign_in(mfa_token=mfa_token, otp=code(), context=STRANGER)

    assert SignInChallenge.objects.get().tries == 0
    Authenticator.objects.filter(kind="second_factor").update(strangers_wait_until=None)
    assert complete_sign_in(mfa_token=mfa_token, otp=code(), context=STRANGER).access


def test_another_password_ends_it(alice: User) -> None:
    _, code = factories.totp_device(alice)
    mfa_token = mfa_token_of(alice)

    change_password(
        by=alice, current_password=factories.PASSWORD, new_password="an entirely new passphrase"
    )

    with pytest.raises(MfaTokenNotValid):
        complete_sign_in(mfa_token=mfa_token, otp=code())
    assert not SessionFamily.objects.exists()


def test_none_begins_with_a_password_that_was_changed_meanwhile(alice: User) -> None:
    factories.totp_device(alice)
    judged = User.objects.get(pk=alice.pk)
    change_password(
        by=alice, current_password=factories.PASSWORD, new_password="an entirely new passphrase"
    )

    with pytest.raises(InvalidCredentials):
        begin_session(
            user=judged,
            audience="https://example.org",
            scope="profile",
            amr=[Amr.PASSWORD],
            context=STRANGER,
            now=timezone.now(),
        )

    assert not SignInChallenge.objects.filter(spent_at=None).exists()


def test_opens_no_meta_scope_that_was_taken_away_meanwhile() -> None:
    bob = factories.bob(may_ask_for=["savings"])
    _, code = factories.totp_device(bob)
    with meta_scopes.of("savings"), pytest.raises(MfaRequired) as asked:
        sign_in(username="bob", password=factories.PASSWORD, scope="savings")
    bob.groups.clear()

    pair = complete_sign_in(mfa_token=asked.value.mfa_token, otp=code())

    assert pair.scope == "profile"
    assert SessionFamily.objects.get().scope == "profile"


def test_nothing_opens_it_once_the_app_is_off(alice: User) -> None:
    _, code = factories.totp_device(alice)
    recovery = factories.recovery_code(alice)
    mfa_token = mfa_token_of(alice)
    disable_totp(by=alice, acr=Acr.TWO_FACTORS)

    for otp in (code(), recovery):
        with pytest.raises(InvalidOtp):
            complete_sign_in(mfa_token=mfa_token, otp=otp)
