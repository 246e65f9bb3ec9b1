"""Many at once with one code, or with one app to confirm (PostgreSQL: SQLite has one writer)."""

from __future__ import annotations

import base64
from functools import partial

import pytest
from django_otp.oath import totp

from accounts.errors import AccountsError
from accounts.models import OutgoingEmail, RecoveryCode, SecurityEvent, TotpDevice, User
from accounts.services.begin_totp import begin_totp
from accounts.services.confirm_totp import confirm_totp
from accounts.services.disable_totp import disable_totp
from accounts.services.replace_recovery_codes import replace_recovery_codes
from accounts.services.verify_second_factor import verify_second_factor
from tests import factories
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
]
THREADS = 32
ROUNDS = 5


def opens(user: User, code: str) -> str:
    try:
        return verify_second_factor(user=user, code=code).value
    except AccountsError as refusal:
        return refusal.code


def confirms(user: User, otp: str) -> str | list[str]:
    try:
        return confirm_totp(by=user, otp=otp)
    except AccountsError as refusal:
        return refusal.code


def test_one_recovery_code_opens_once() -> None:
    alice = factories.alice()
    factories.totp_device(alice)

    for code in replace_recovery_codes(by=alice, acr="aal2")[:ROUNDS]:
        outcomes = at_once(*[partial(opens, alice, code)] * THREADS)

        assert sorted(set(outcomes)) == ["invalid_otp", "rc"]
        assert outcomes.count("rc") == 1
    assert SecurityEvent.objects.filter(code="recovery_code_used").count() == ROUNDS
    assert RecoveryCode.objects.unused().count() == 10 - ROUNDS


def test_one_code_of_an_app_opens_once() -> None:
    alice = factories.alice()
    _, code = factories.totp_device(alice)

    outcomes = at_once(*[partial(opens, alice, code())] * THREADS)

    assert outcomes.count("otp") == 1


def test_of_several_confirmations_one_gets_the_codes() -> None:
    alice = factories.alice()
    for _ in range(ROUNDS):
        secret = begin_totp(by=alice).secret.replace(" ", "")
        otp = f"{totp(base64.b32decode(secret)):06}"

        outcomes = at_once(*[partial(confirms, alice, otp)] * 8)

        [codes] = [outcome for outcome in outcomes if isinstance(outcome, list)]
        assert {outcome for outcome in outcomes if isinstance(outcome, str)} <= {
            "totp_not_pending",
            "invalid_otp",
        }
        assert TotpDevice.objects.in_use().count() == TotpDevice.objects.count() == 1
        assert RecoveryCode.objects.unused().count() == 10
        assert verify_second_factor(user=alice, code=codes[0])
        disable_totp(by=alice, acr="aal2")
    assert OutgoingEmail.objects.filter(kind="totp_enabled").count() == ROUNDS


def test_of_several_beginnings_one_is_left() -> None:
    alice = factories.alice()

    setups = at_once(*[partial(begin_totp, by=alice)] * 8)

    assert TotpDevice.objects.count() == 1
    left = base64.b32encode(TotpDevice.objects.get().key()).decode()
    assert left in {setup.secret.replace(" ", "") for setup in setups}


def test_who_asked_before_it_was_on_gets_no_codes() -> None:
    alice = factories.alice()
    for _ in range(ROUNDS):
        secret = begin_totp(by=alice).secret.replace(" ", "")
        otp = f"{totp(base64.b32decode(secret)):06}"
        calls = [partial(confirms, alice, otp), *[partial(asks_for_codes, alice)] * 7]

        confirmed, *refused = at_once(*calls)

        assert isinstance(confirmed, list)
        assert set(refused) <= {"totp_not_on", "insufficient_user_authentication"}
        disable_totp(by=alice, acr="aal2")


def asks_for_codes(user: User) -> str | list[str]:
    """Ask with one factor, as a request may that was let in while no app was on."""
    try:
        return replace_recovery_codes(by=user, acr="aal1")
    except AccountsError as refusal:
        return refusal.code
