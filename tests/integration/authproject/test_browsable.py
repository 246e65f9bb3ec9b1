"""A developer's signed-in browser, at the browsable pages of development."""

import pytest
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.models import User
from authproject.web.browsable import BrowserSession
from tests import factories

pytestmark = pytest.mark.django_db


def request_of(user: User | None, method: str = "get") -> Request:
    plain = getattr(APIRequestFactory(enforce_csrf_checks=True), method)("/api/v1/me")
    plain.user = user
    return Request(plain)


def test_opens_what_its_persons_own_token_would() -> None:
    alice = factories.alice()
    authenticated = BrowserSession().authenticate(request_of(alice))
    assert authenticated is not None
    user, grant = authenticated
    assert user == alice
    assert grant.scope >= {"profile", "account"}
    assert not grant.scope & {"redeem", "introspect", "token_exchange"}


def test_without_a_sign_in_it_says_nothing() -> None:
    assert BrowserSession().authenticate(request_of(None)) is None


def test_a_form_from_elsewhere_is_refused() -> None:
    with pytest.raises(PermissionDenied, match="CSRF"):
        BrowserSession().authenticate(request_of(factories.alice(), "post"))
