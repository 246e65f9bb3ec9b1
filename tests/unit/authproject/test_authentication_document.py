"""docs/authentication.md says what the code does."""

from accounts.api.form_views import RefreshFormView
from accounts.api.throttles import AnonymousThrottle
from accounts.api.views import LogOutView, PublicView, RefreshView, VerifyView
from accounts.federation.providers import parse_providers
from accounts.limits import LIMITS, REFRESH
from authproject.management.authentication_document import WAYS, authentication_document
from authproject.management.authentication_words import EXAMPLE_PROVIDERS
from authproject.management.limited_addresses import Address, addresses

# A token in the body says who asks: there is nobody to guess for, and phones ask often.
WITH_A_TOKEN = {RefreshView, RefreshFormView, VerifyView, LogOutView}


def public() -> list[Address]:
    views = [address for address in addresses() if isinstance(address.view, type)]
    return [address for address in views if issubclass(address.view, PublicView)]


def test_anonymous_requests_are_limited_wherever_they_may_be_made() -> None:
    open_to_all = [a for a in public() if a.view not in WITH_A_TOKEN]

    assert len(open_to_all) >= 10
    assert [a.name for a in open_to_all if AnonymousThrottle not in a.view.throttle_classes] == []


def test_refreshing_is_limited_and_not_as_anonymous() -> None:
    refreshing = [a for a in public() if a.view in {RefreshView, RefreshFormView}]

    assert [address.limits for address in refreshing] == [[REFRESH], [REFRESH]]


def test_narrow_limits_count_first() -> None:
    several = [a.view.throttle_classes for a in public() if len(a.limits) > 1]

    assert {throttles[-1] for throttles in several} == {AnonymousThrottle}


def test_every_limited_address_is_a_way_in_or_a_change_to_one() -> None:
    described = {name for way in WAYS for name in way.names}

    assert {address.name for address in addresses() if address.limits} - described == set()


def test_every_limit_guards_something() -> None:
    used = {limit for address in addresses() for limit in address.limits}

    assert used == set(LIMITS)


def test_its_example_of_providers_can_be_used() -> None:
    providers = parse_providers(EXAMPLE_PROVIDERS, production=True)

    assert list(providers) == ["github", "work"]


def test_names_only_the_requests_that_count() -> None:
    text = authentication_document("")

    assert "| `POST /api/v1/me/totp` | expensive |" in text
    assert "GET, POST" not in text


def test_says_numbers_of_the_settings() -> None:
    text = authentication_document("")

    assert "| sign-in | `RATE_LIMIT_SIGN_IN` | 10/m | address |" in text
    assert "disabled by the 100th in a row" in text
    assert "`POST /api/v1/auth/token`: sign-in 10/m; anonymous 200/d, 50/h" in text
