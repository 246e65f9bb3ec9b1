"""Setting an authenticator app up and turning it off: what is kept, told and counted."""

from __future__ import annotations

import base64
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django_otp.oath import totp

from accounts.errors import AuthenticationTooOld, InvalidOtp, TotpNotOn, TotpNotPending
from accounts.models import (
    MOST_FAILURES,
    Amr,
    Authenticator,
    OutgoingEmail,
    RateCounter,
    RecoveryCode,
    RequestContext,
    SecurityEvent,
    SessionFamily,
    TotpDevice,
    User,
)
from accounts.services import confirm_totp as confirming
from accounts.services.begin_totp import TotpSetup, begin_totp, provisioning_uri
from accounts.services.confirm_totp import confirm_totp
from accounts.services.disable_totp import disable_totp, take_second_factor_away
from accounts.services.read_second_factor import read_totp
from accounts.services.replace_recovery_codes import replace_recovery_codes
from accounts.services.verify_second_factor import verify_second_factor
from tests import factories
from tests.mailbox import sent

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return factories.alice()


def shown(setup: TotpSetup, steps: int = 0) -> str:
    """Return what an app shows, so many steps from now, that was given the typed secret."""
    key = base64.b32decode(setup.secret.replace(" ", ""))
    return f"{totp(key, drift=steps):06}"


def enrol(person: User) -> tuple[TotpSetup, list[str]]:
    setup = begin_totp(by=person)
    return setup, confirm_totp(by=person, otp=shown(setup))


def told(person: User) -> tuple[list[str], list[str]]:
    """Return the codes of a person's events and the kinds of the mails to them."""
    events = SecurityEvent.objects.filter(user=person).order_by("id")
    mails = OutgoingEmail.objects.filter(user=person).order_by("pk")
    return [event.code for event in events], [mail.kind for mail in mails]


@pytest.mark.parametrize("gap", ["", " ", "-"])
def test_confirms_however_the_code_is_spaced(alice: User, gap: str) -> None:
    setup = begin_totp(by=alice)
    code = shown(setup)

    assert len(confirm_totp(by=alice, otp=f" {code[:3]}{gap}{code[3:]}")) == 10


@time_machine.travel(1_800_000_000, tick=False)  # a step begins, and does not end
def test_takes_no_code_that_confirmed(alice: User) -> None:
    setup = begin_totp(by=alice)
    confirm_totp(by=alice, otp=shown(setup))

    with pytest.raises(InvalidOtp):
        verify_second_factor(user=alice, code=shown(setup))

    assert verify_second_factor(user=alice, code=shown(setup, 1)) == Amr.OTP


def test_a_pending_app_opens_nothing(alice: User) -> None:
    setup = begin_totp(by=alice)

    with pytest.raises(InvalidOtp):
        verify_second_factor(user=alice, code=shown(setup))


def test_bobs_app_does_not_open_alices_account(alice: User) -> None:
    bobs, codes = enrol(factories.bob())
    enrol(alice)

    for code in (shown(bobs, 1), codes[0]):
        with pytest.raises(InvalidOtp):
            verify_second_factor(user=alice, code=code)


def test_bobs_code_confirms_nothing_of_alices(alice: User) -> None:
    bobs = begin_totp(by=factories.bob())
    begin_totp(by=alice)

    with pytest.raises(InvalidOtp):
        confirm_totp(by=alice, otp=shown(bobs))


@pytest.mark.parametrize(("seconds", "is_in_time"), [(1799, True), (1800, False)])
def test_what_was_begun_is_to_be_finished_soon(alice: User, seconds: int, is_in_time: bool) -> None:
    """Whoever began it had just signed in; a token that is stolen later finds nothing to finish."""
    setup = begin_totp(by=alice)
    later = TotpDevice.objects.get().created_at + timedelta(seconds=seconds)

    assert read_totp(user=alice, now=later).being_set_up == is_in_time
    with nullcontext() if is_in_time else pytest.raises(TotpNotPending):
        confirm_totp(by=alice, otp=shown(setup), now=later)


def test_a_key_that_was_replaced_confirms_nothing(alice: User) -> None:
    first = begin_totp(by=alice)
    begin_totp(by=alice)

    with pytest.raises(InvalidOtp):
        confirm_totp(by=alice, otp=shown(first))


def test_keeps_no_secret_in_the_clear(alice: User) -> None:
    setup, codes = enrol(alice)

    device = TotpDevice.objects.get()
    key = base64.b32decode(setup.secret.replace(" ", ""))
    assert key not in bytes(device.key_sealed)
    assert device.key() == key
    assert "secret" not in repr(setup)
    rows = str(list(RecoveryCode.objects.values()) + list(SecurityEvent.objects.values()))
    assert not [code for code in codes if code in rows or code.replace("-", "") in rows]


def test_tells_of_every_change(alice: User) -> None:
    enrol(alice)
    replace_recovery_codes(by=alice, acr="aal2")
    disable_totp(by=alice, acr="aal2")

    events, mails = told(alice)
    assert events == ["totp_enabled", "recovery_codes_replaced", "totp_disabled"]
    assert mails == events


def test_ends_no_session_and_lifts_none(alice: User) -> None:
    family, _ = factories.session_family(alice)

    enrol(alice)

    family.refresh_from_db()
    assert SessionFamily.objects.not_ended().count() == 1
    assert family.acr == "aal1"


def test_counts_wrong_codes(alice: User) -> None:
    begin_totp(by=alice)

    with pytest.raises(InvalidOtp):
        confirm_totp(by=alice, otp="no code")

    assert Authenticator.objects.get().failures == 1
    event = SecurityEvent.objects.get()
    assert (event.code, event.data) == ("totp_confirmation_refused", {"reason": "wrong_code"})


def test_forgives_once_a_code_was_right(alice: User) -> None:
    setup = begin_totp(by=alice)
    with pytest.raises(InvalidOtp):
        confirm_totp(by=alice, otp="no code")

    confirm_totp(by=alice, otp=shown(setup))

    assert Authenticator.objects.get().failures == 0


def test_judges_nothing_after_a_hundred_failures(alice: User) -> None:
    setup = begin_totp(by=alice)
    Authenticator.objects.create(user=alice, kind="second_factor", failures=MOST_FAILURES)

    with pytest.raises(InvalidOtp):
        confirm_totp(by=alice, otp=shown(setup))

    assert not TotpDevice.objects.in_use().exists()
    again = begin_totp(by=alice)  # a new key, at which nobody has failed
    assert confirm_totp(by=alice, otp=shown(again))


def test_is_on_wholly_or_not_at_all(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = begin_totp(by=alice)

    def break_down(**_: Any) -> None:
        raise RuntimeError("the outbox is away")

    monkeypatch.setattr(confirming, "queue_email", break_down)
    with pytest.raises(RuntimeError):
        confirm_totp(by=alice, otp=shown(setup))

    assert not TotpDevice.objects.in_use().exists()
    assert not RecoveryCode.objects.exists()
    monkeypatch.undo()
    assert confirm_totp(by=alice, otp=shown(setup)), "its code was not spent"


def test_confirms_nothing_twice(alice: User) -> None:
    setup, _ = enrol(alice)

    with pytest.raises(TotpNotPending):
        confirm_totp(by=alice, otp=shown(setup, 1))


def test_new_recovery_codes_end_the_old(alice: User) -> None:
    _, old = enrol(alice)

    new = replace_recovery_codes(by=alice, acr="aal2")

    assert RecoveryCode.objects.filter(user=alice).count() == 10
    with pytest.raises(InvalidOtp):
        verify_second_factor(user=alice, code=old[0])
    assert verify_second_factor(user=alice, code=new[0]) == Amr.RECOVERY_CODE


def test_staff_take_a_second_factor_away(alice: User) -> None:
    enrol(alice)
    enrol(factories.bob())
    begin = Authenticator.objects.get(user=alice)
    Authenticator.objects.filter(pk=begin.pk).update(failures=MOST_FAILURES)
    admin = factories.staff()

    take_second_factor_away(user=alice, by=admin, why="lost her phone; seen her passport")

    assert TotpDevice.objects.get().user.username == "bob"
    assert RecoveryCode.objects.filter(user=alice).count() == 0
    event = SecurityEvent.objects.get(code="totp_disabled")
    assert event.data == {"why": "lost her phone; seen her passport", "by": admin.public_id}
    mail = OutgoingEmail.objects.get(kind="totp_disabled")
    assert mail.data["by"] == "staff"
    assert Authenticator.objects.get(user=alice).failures == 0


def test_takes_nothing_away_that_is_not_there(alice: User) -> None:
    begin_totp(by=alice)

    with pytest.raises(TotpNotOn):
        take_second_factor_away(user=alice, by=factories.staff(), why="asked")


@pytest.mark.parametrize(
    ("issuer_url", "label"),
    [
        ("https://auth.example.com", "auth.example.com:%C3%A9mile%E6%9D%8E"),
        ("http://[::1]:8000", "..1:%C3%A9mile%E6%9D%8E"),
    ],
)
def test_writes_a_label_with_one_colon(settings: Any, issuer_url: str, label: str) -> None:
    settings.ISSUER_URL = issuer_url

    uri = provisioning_uri("ABCD", account="émile李")

    assert uri.startswith(f"otpauth://totp/{label}?secret=ABCD&issuer=")


def test_the_mail_says_that_staff_did_it(alice: User) -> None:
    enrol(alice)
    sent()

    take_second_factor_away(user=alice, by=factories.staff(), why="lost her phone")

    [mail] = sent(to=alice.email)
    assert "removed by our staff" in mail.body
    assert "lost her phone" not in mail.body


def test_wrong_codes_count_for_their_address(alice: User, settings: Any) -> None:
    settings.RATE_LIMITS = True
    here = RequestContext(address="192.0.2.1")
    begin_totp(by=alice)

    with pytest.raises(InvalidOtp):
        confirm_totp(by=alice, otp="no code", context=here)

    assert RateCounter.objects.get(key__startswith="failures:").value == 1


@pytest.mark.parametrize("change", [disable_totp, replace_recovery_codes])
def test_one_factor_changes_nothing(alice: User, change: Any) -> None:
    enrol(alice)
    codes = set(RecoveryCode.objects.values_list("digest", flat=True))

    with pytest.raises(AuthenticationTooOld):
        change(by=alice, acr="aal1")

    assert set(RecoveryCode.objects.values_list("digest", flat=True)) == codes
    assert TotpDevice.objects.in_use().exists()
