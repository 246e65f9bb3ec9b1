"""The admin and second factors: seen, never shown; taken away by superusers, with a reason."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import OutgoingEmail, RecoveryCode, SecurityEvent, TotpDevice, User
from tests import factories

pytestmark = pytest.mark.django_db
WHY = "Met her at the desk, saw her passport."


@pytest.fixture
def alice() -> User:
    alice = factories.alice()
    factories.totp_device(alice)
    factories.recovery_code(alice)
    RecoveryCode.objects.create(user=alice, digest="0" * 64, used_at=timezone.now())
    return alice


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.staff())
    return client


@pytest.fixture
def helper(client: Client) -> Client:
    """Return staff who may change people, but not everything."""
    person = factories.user("helper", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    client.force_login(person)
    return client


def page(person: User) -> str:
    return reverse("admin:accounts_user_second_factor", args=[person.pk])


def change_page(person: User) -> str:
    return reverse("admin:accounts_user_change", args=[person.pk])


def test_says_how_it_stands(staff: Client, alice: User) -> None:
    text = staff.get(change_page(alice)).content.decode()

    assert "on since" in text
    assert "1 of 2 recovery codes left" in text
    assert page(alice) in text


def test_offers_nothing_where_it_is_off(staff: Client) -> None:
    bob = factories.bob()

    assert page(bob) not in staff.get(change_page(bob)).content.decode()
    assert staff.get(page(bob)).status_code == 403


def test_shows_nothing_secret(staff: Client, alice: User) -> None:
    device, code = TotpDevice.objects.get(), RecoveryCode.objects.unused().get()
    secrets = [factories.TOTP_KEY.decode(), bytes(device.key_sealed).hex(), code.digest, "sealed"]
    shown = [
        change_page(alice),
        reverse("admin:accounts_totpdevice_changelist"),
        reverse("admin:accounts_totpdevice_change", args=[device.pk]),
        reverse("admin:accounts_recoverycode_changelist"),
        reverse("admin:accounts_recoverycode_change", args=[code.pk]),
        reverse("admin:accounts_authenticator_changelist"),
    ]

    for address in shown:
        answer = staff.get(address)
        assert answer.status_code == 200
        assert not [secret for secret in secrets if secret in answer.content.decode()]


def test_asks_for_the_reason(staff: Client, alice: User) -> None:
    assert "Reason" in staff.get(page(alice)).content.decode()
    assert staff.post(page(alice), {"why": " "}).status_code == 200
    assert TotpDevice.objects.exists()


def test_takes_it_away(staff: Client, alice: User) -> None:
    answer = staff.post(page(alice), {"why": WHY})

    assert answer.headers["Location"] == change_page(alice)
    assert not TotpDevice.objects.exists()
    assert not RecoveryCode.objects.exists()
    event = SecurityEvent.objects.get(code="totp_disabled", user=alice)
    assert event.data == {"why": WHY, "by": User.objects.get(username="staff").public_id}
    assert OutgoingEmail.objects.get(user=alice).kind == "totp_disabled"


@pytest.mark.parametrize("method", ["get", "post"])
def test_lets_superusers_alone_do_it(helper: Client, alice: User, method: str) -> None:
    assert page(alice) not in helper.get(change_page(alice)).content.decode()

    assert getattr(helper, method)(page(alice), {"why": WHY}).status_code == 403
    assert TotpDevice.objects.exists()


def test_turns_off_nobodys_own(client: Client) -> None:
    admin = factories.staff()
    factories.totp_device(admin)
    client.force_login(admin)

    assert client.post(page(admin), {"why": WHY}).status_code == 403
    assert TotpDevice.objects.exists()


def test_knows_nobody_of_another_id(staff: Client, alice: User) -> None:
    address = page(alice).replace(str(alice.pk), "00000000-0000-0000-0000-000000000000")

    assert staff.get(address).status_code == 404


def test_keeps_people_out(client: Client, alice: User) -> None:
    client.force_login(factories.bob())

    assert client.post(page(alice), {"why": WHY}).status_code == 302
    assert TotpDevice.objects.exists()
