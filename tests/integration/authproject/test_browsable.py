"""A developer's signed-in browser, at the browsable pages of development."""

from collections.abc import Sequence

import pytest
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.models import SessionFamily, User
from accounts.pages.browser import person_of, sign_in_browser
from accounts.pages.session_store import SessionStore
from authproject.web.browsable import BrowserSession
from tests import factories

pytestmark = pytest.mark.django_db


def request_of(user: User | None, method: str = "get", amr: Sequence[str] = ("pwd",)) -> Request:
    """Write a request of a browser in which this person is signed in."""
    plain = getattr(APIRequestFactory(enforce_csrf_checks=True), method)("/api/v1/me")
    plain.session = SessionStore()
    if user is not None:
        sign_in_browser(plain, user=user, amr=amr)
    plain.user = person_of(plain)
    return Request(plain)


def test_opens_what_its_persons_own_token_would() -> None:
    alice = factories.alice()
    authenticated = BrowserSession().authenticate(request_of(alice))
    assert authenticated is not None
    user, grant = authenticated
    assert user == alice
    assert grant.scope >= {"profile", "account"}
    assert not grant.scope & {"redeem", "introspect", "token_exchange"}


def test_knows_when_and_how_this_browser_signed_in() -> None:
    alice = factories.alice()
    request = request_of(alice, amr=["pwd", "otp", "mfa"])
    User.objects.update(last_login=None)

    authenticated = BrowserSession().authenticate(request)

    assert authenticated is not None
    place, grant = SessionFamily.objects.get(), authenticated[1]
    assert (grant.session_id, grant.auth_time) == (place.public_id, place.auth_time)
    assert (grant.acr, grant.amr) == ("aal2", ("pwd", "otp", "mfa"))


def test_without_a_sign_in_it_says_nothing() -> None:
    assert BrowserSession().authenticate(request_of(None)) is None


def test_a_form_from_elsewhere_is_refused() -> None:
    with pytest.raises(PermissionDenied, match="CSRF"):
        BrowserSession().authenticate(request_of(factories.alice(), "post"))
