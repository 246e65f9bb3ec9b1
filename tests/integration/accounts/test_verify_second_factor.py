"""Codes of apps and recovery codes, judged in one place."""

from collections.abc import Iterator

import pytest
import time_machine

from accounts.errors import InvalidOtp, SealBroken
from accounts.models import (
    Amr,
    Authenticator,
    OutgoingEmail,
    RecoveryCode,
    SecurityEvent,
    TotpDevice,
    User,
)
from accounts.services.verify_second_factor import verify_second_factor
from tests import factories

pytestmark = pytest.mark.django_db
NOON = 1_800_000_000  # a step of 30 s begins here


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def alice() -> User:
    return factories.alice()


def opens(person: User, code: str) -> bool:
    try:
        verify_second_factor(user=person, code=code)
    except InvalidOtp:
        return False
    return True


@pytest.mark.parametrize(
    ("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_takes_one_step_either_way(alice: User, steps: int, is_right: bool) -> None:
    _, code = factories.totp_device(alice)

    assert opens(alice, code(steps)) == is_right


@pytest.mark.parametrize("write", ["{0}", " {0}\n", "{1} {2}", "{1}-{2}", "{1}\u2011{2}"])
def test_takes_a_code_however_it_is_typed(alice: User, write: str) -> None:
    _, code = factories.totp_device(alice)
    digits = code()

    used = verify_second_factor(user=alice, code=write.format(digits, digits[:3], digits[3:]))

    assert used == Amr.OTP


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "١٢٣٤٥٦", "12345a", "\x00" * 6, "9" * 500]
)
def test_takes_nothing_else(alice: User, code: str) -> None:
    factories.totp_device(alice)

    assert not opens(alice, code)


def test_takes_a_step_once(alice: User) -> None:
    _, code = factories.totp_device(alice)

    assert [opens(alice, code()), opens(alice, code())] == [True, False]


def test_takes_no_step_before_the_last_one(alice: User) -> None:
    _, code = factories.totp_device(alice)

    assert [opens(alice, code(step)) for step in (1, 0, -1)] == [True, False, False]


def test_keeps_the_drift_of_the_app(alice: User, clock: time_machine.Traveller) -> None:
    device, code = factories.totp_device(alice)
    assert opens(alice, code(1))
    clock.shift(3600)

    ahead = opens(alice, code(2))

    device.refresh_from_db()
    assert (ahead, device.drift) == (True, 1)


@pytest.mark.parametrize("late", [-1, 1])
def test_follows_no_clock_so_far_that_a_right_one_is_refused(
    alice: User, clock: time_machine.Traveller, late: int
) -> None:
    _, code = factories.totp_device(alice)
    for steps in (late, 2 * late):
        assert opens(alice, code(steps))
        clock.shift(3600)

    assert not opens(alice, code(3 * late))
    assert opens(alice, code(0))


def test_takes_a_recovery_code_once(alice: User) -> None:
    factories.totp_device(alice)
    code = factories.recovery_code(alice)

    assert verify_second_factor(user=alice, code=f" {code.lower()} ") == Amr.RECOVERY_CODE
    assert not opens(alice, code)


def test_tells_of_a_used_recovery_code(alice: User) -> None:
    factories.totp_device(alice)
    code = factories.recovery_code(alice)
    factories.recovery_code(alice, "ABCD-EFGH-IJKL-MN24")

    verify_second_factor(user=alice, code=code)

    assert SecurityEvent.objects.get(code="recovery_code_used").data == {"left": 1}
    mail = OutgoingEmail.objects.get()
    assert (mail.kind, mail.user, mail.data["left"]) == ("recovery_code_used", alice, "1")


@pytest.mark.parametrize("confirmed", [True, False])
def test_takes_nothing_of_who_has_no_app_in_use(alice: User, confirmed: bool) -> None:
    device, code = factories.totp_device(factories.bob() if confirmed else alice)
    TotpDevice.objects.filter(pk=device.pk).update(confirmed=confirmed)

    assert not opens(alice, code())
    assert not opens(alice, factories.recovery_code(alice))


def test_counts_failures_and_forgets_them(alice: User) -> None:
    _, code = factories.totp_device(alice)
    opens(alice, "000000")
    counter = Authenticator.objects.get(user=alice, kind="second_factor")
    assert counter.failures == 1

    opens(alice, code())

    counter.refresh_from_db()
    assert counter.failures == 0


def test_mails_the_tenth_failure_once_as_whoever_guesses_has_the_password(alice: User) -> None:
    factories.totp_device(alice)
    guesses = [opens(alice, "000000") for _ in range(9)]
    assert not OutgoingEmail.objects.exists()

    guesses += [opens(alice, "000000") for _ in range(2)]

    assert not any(guesses)
    assert [mail.kind for mail in OutgoingEmail.objects.all()] == ["codes_guessed"]


def test_records_refusals(alice: User) -> None:
    factories.totp_device(alice)

    opens(alice, "000000")

    event = SecurityEvent.objects.get(code="second_factor_refused")
    assert (event.user, event.data) == (alice, {"reason": "wrong_code"})


def test_a_disabled_second_factor_takes_no_right_code(alice: User) -> None:
    _, code = factories.totp_device(alice)
    Authenticator.objects.create(user=alice, kind="second_factor", failures=100)

    assert not opens(alice, code())
    assert not opens(alice, factories.recovery_code(alice))
    assert TotpDevice.objects.get().last_step == -1


def test_takes_no_code_with_a_digit_too_many(alice: User) -> None:
    """As a number, it would be the same one."""
    _, code = factories.totp_device(alice)

    assert not opens(alice, f"0{code()}")
    assert opens(alice, code())


def test_what_was_moved_to_another_person_opens_nothing(alice: User) -> None:
    """Whoever can write rows, and read no keys, makes nobody's app or code somebody else's."""
    bob = factories.bob()
    _, code = factories.totp_device(bob)
    recovery = factories.recovery_code(bob)
    TotpDevice.objects.update(user=alice)
    RecoveryCode.objects.update(user=alice)

    assert not opens(alice, recovery)
    with pytest.raises(SealBroken):
        opens(alice, code())
