"""Dangerous acts want who has signed in just now, with a code where they have an app."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.errors import AuthenticationTooOld
from accounts.models import ServiceClient, TotpDevice, User
from accounts.services.require_fresh_authentication import require_fresh_authentication
from accounts.tokens.access import Grant
from tests import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()
SECOND = timedelta(seconds=1)


@pytest.fixture
def alice() -> User:
    return factories.alice()


def grant(subject: User | ServiceClient, ago: timedelta = SECOND, acr: str = "aal1") -> Grant:
    return Grant(
        subject=subject,
        scope=frozenset({"account"}),
        client_id="first-party",
        audience=settings.ISSUER_URL,
        auth_time=NOW - ago,
        acr=acr,
    )


@pytest.mark.parametrize(("seconds", "is_fresh"), [(0, True), (299, True), (300, False)])
def test_a_sign_in_is_fresh_for_five_minutes(alice: User, seconds: int, is_fresh: bool) -> None:
    shown = grant(alice, ago=timedelta(seconds=seconds))

    if is_fresh:
        require_fresh_authentication(grant=shown, now=NOW)
        return
    with pytest.raises(AuthenticationTooOld) as refusal:
        require_fresh_authentication(grant=shown, now=NOW)
    assert refusal.value.members() == {"acr_values": "aal1", "max_age": 300}


def test_who_has_an_app_shows_a_code(alice: User) -> None:
    factories.totp_device(alice)

    with pytest.raises(AuthenticationTooOld) as refusal:
        require_fresh_authentication(grant=grant(alice), now=NOW)

    assert refusal.value.members() == {"acr_values": "aal2", "max_age": 300}
    require_fresh_authentication(grant=grant(alice, acr="aal2"), now=NOW)


def test_an_app_that_is_being_set_up_demands_nothing(alice: User) -> None:
    factories.totp_device(alice)
    TotpDevice.objects.update(confirmed=False)

    require_fresh_authentication(grant=grant(alice), now=NOW)


def test_two_factors_are_enough_for_who_has_no_app_any_more(alice: User) -> None:
    require_fresh_authentication(grant=grant(alice, acr="aal2"), now=NOW)


def test_a_credential_without_a_sign_in_is_never_fresh(alice: User) -> None:
    """A key, or a machine's token."""
    for shown in (replace(grant(alice), auth_time=None), replace(grant(alice), acr="")):
        with pytest.raises(AuthenticationTooOld):
            require_fresh_authentication(grant=shown, now=NOW)
