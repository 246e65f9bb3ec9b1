"""`seed_users --totp-fraction`: a share of the people have an app, the same ones every time."""

from typing import Any

import pytest
from django.core.management import call_command
from django_otp.oath import totp

from accounts.management.base import Exit, Refused
from accounts.models import Amr, TotpDevice, User
from accounts.services.seed_users import seeded_totp_key
from accounts.services.verify_second_factor import verify_second_factor

pytestmark = pytest.mark.django_db


def seed(*words: str) -> None:
    call_command("seed_users", "--format=json", *words)


def names() -> set[str]:
    return set(TotpDevice.objects.in_use().values_list("user__username", flat=True))


def test_gives_nobody_an_app_unless_asked() -> None:
    seed("--count=5")

    assert not TotpDevice.objects.exists()


def test_gives_all_of_them_one() -> None:
    seed("--count=7", "--batch=3", "--totp-fraction=1")

    assert TotpDevice.objects.in_use().count() == 7


def test_gives_the_same_people_one() -> None:
    seed("--count=200", "--totp-fraction=0.3")
    first = names()
    User.objects.all().delete()

    seed("--count=200", "--batch=7", "--totp-fraction=0.3")

    assert names() == first
    assert 40 <= len(first) <= 80


def test_leaves_those_who_are_there_as_they_are() -> None:
    seed("--count=5")

    seed("--count=10", "--totp-fraction=1")

    assert TotpDevice.objects.count() == 5


def test_a_load_test_can_make_the_codes() -> None:
    seed("--count=1", "--totp-fraction=1")
    person = User.objects.get()

    code = f"{totp(seeded_totp_key(person.username)):06}"

    assert verify_second_factor(user=person, code=code) == Amr.OTP


def test_makes_none_in_production(settings: Any) -> None:
    settings.PRODUCTION = True

    with pytest.raises(Refused) as refusal:
        seed("--count=1", "--totp-fraction=0.5")

    assert refusal.value.returncode == Exit.REFUSED
    assert not User.objects.exists()
    seed("--count=1")


@pytest.mark.parametrize("share", ["-0.1", "1.1", "half", "nan", "inf"])
def test_refuses_what_is_no_share(share: str) -> None:
    with pytest.raises(Exception, match="number from 0 to 1"):
        seed(f"--totp-fraction={share}")
