"""Linking an identity while signed in, and unlinking it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import (
    EmailKind,
    EndReason,
    FederatedIdentity,
    OutgoingEmail,
    SecurityEvent,
    SessionFamily,
    User,
)
from tests import factories
from tests.factories import bearer
from tests.federation import IDENTITIES, JSON, Browser, configure, link, reason_of, refused
from tests.identity_providers import OidcProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> User:
    return factories.bob()


@pytest.fixture
def access(bob: User, corp: OidcProvider) -> str:
    return factories.access_token_for(bob)


def begin(browser: Browser, corp: OidcProvider, access: str) -> dict[str, str]:
    """Return what the browser comes back with."""
    begun = browser.begin_linking(access)
    assert begun.status_code == 200, begun.content
    return corp.approve(begun.json()["authorization_url"])


def unlink(browser: Browser, access: str, identity: FederatedIdentity) -> Any:
    return browser.client.delete(f"{IDENTITIES}/{identity.public_id}", headers=bearer(access))


def refresh(browser: Browser, token: str) -> Any:
    return browser.client.post("/api/v1/auth/token/refresh", {"refresh": token}, JSON)


def test_links_and_then_signs_in(
    browser: Browser, corp: OidcProvider, bob: User, access: str
) -> None:
    answer = browser.finish(begin(browser, corp, access))

    identity = FederatedIdentity.objects.get()
    assert answer.status_code == 200, answer.content
    assert answer.json()["id"] == identity.public_id
    assert (identity.user, identity.iss, identity.sub) == (bob, corp.issuer, "user-1")
    assert browser.sign_in(corp).status_code == 200


def test_tells_its_person(browser: Browser, corp: OidcProvider, bob: User, access: str) -> None:
    browser.finish(begin(browser, corp, access))

    mail = OutgoingEmail.objects.get(kind=EmailKind.IDENTITY_LINKED, user=bob)
    assert mail.data["provider"] == "Corp"
    event = SecurityEvent.objects.get(code="identity_linked")
    assert event.user == bob
    assert event.data["identity"] == FederatedIdentity.objects.get().public_id


def test_lists_ones_own(browser: Browser, corp: OidcProvider, bob: User, access: str) -> None:
    link(bob, corp, sub="bob")
    link(factories.charlie(), corp, sub="charlie")

    (listed,) = browser.client.get(IDENTITIES, headers=bearer(access)).json()

    assert listed.keys() == {"id", "provider", "label", "created_at", "last_used_at"}


@pytest.mark.parametrize("scope", ["profile"])
def test_needs_the_scope(browser: Browser, corp: OidcProvider, bob: User, scope: str) -> None:
    access = factories.access_token_for(bob, scope=scope)

    assert browser.begin_linking(access).json()["code"] == "insufficient_scope"
    assert browser.client.get(IDENTITIES, headers=bearer(access)).status_code == 403


def test_needs_somebody(browser: Browser, corp: OidcProvider) -> None:
    assert browser.client.post(f"{IDENTITIES}/corp").status_code == 401


def test_needs_a_recent_sign_in(browser: Browser, corp: OidcProvider, bob: User) -> None:
    old = factories.access_token_for(bob, ago=timedelta(hours=1))
    identity = link(bob, corp)

    for answer in (browser.begin_linking(old), unlink(browser, old, identity)):
        assert answer.status_code == 401
        assert answer.json()["code"] == "insufficient_user_authentication"
    assert FederatedIdentity.objects.exists()


class TestTheSession:
    def test_is_still_live(self, browser: Browser, corp: OidcProvider, access: str) -> None:
        query = begin(browser, corp, access)
        SessionFamily.objects.all().end(reason=EndReason.LOGOUT, now=timezone.now())

        assert refused(browser.finish(query))
        assert not FederatedIdentity.objects.exists()
        assert reason_of() == "the session that has asked for it has ended"

    def test_is_still_an_active_persons(
        self, browser: Browser, corp: OidcProvider, access: str
    ) -> None:
        query = begin(browser, corp, access)
        User.objects.update(is_active=False)

        assert refused(browser.finish(query))
        assert not FederatedIdentity.objects.exists()

    def test_is_of_the_same_browser(
        self, browser: Browser, corp: OidcProvider, access: str
    ) -> None:
        """The attacker sends somebody the end of their own way: it links nobody."""
        query = begin(browser, corp, access)
        victim = Browser()
        victim.begin()

        assert refused(victim.finish(query))
        assert not FederatedIdentity.objects.exists()


def test_a_link_is_not_finished_as_a_sign_in(
    browser: Browser, corp: OidcProvider, alice: User, access: str
) -> None:
    """Bob sets out to link, and comes back as Alice's identity: neither link nor sign-in."""
    answer = browser.finish(begin(browser, corp, access))

    assert (answer.status_code, answer.json()["code"]) == (409, "identity_taken")
    assert FederatedIdentity.objects.get().user == alice
    assert not SessionFamily.objects.filter(user=alice).exists()
    assert reason_of() == "identity_taken"


def test_one_of_a_provider(browser: Browser, corp: OidcProvider, bob: User, access: str) -> None:
    link(bob, corp, sub="another")

    answer = browser.finish(begin(browser, corp, access))

    assert answer.json()["code"] == "identity_taken"
    assert FederatedIdentity.objects.count() == 1
    assert not OutgoingEmail.objects.exists()


class TestUnlinking:
    def test_leaves_the_password(
        self, browser: Browser, corp: OidcProvider, bob: User, access: str
    ) -> None:
        assert unlink(browser, access, link(bob, corp)).status_code == 204

        assert not FederatedIdentity.objects.exists()
        assert OutgoingEmail.objects.filter(kind=EmailKind.IDENTITY_UNLINKED, user=bob).exists()
        assert SecurityEvent.objects.filter(code="identity_unlinked", user=bob).exists()
        assert refused(browser.sign_in(corp), "identity_not_linked")

    def test_ends_what_providers_have_opened(
        self, browser: Browser, corp: OidcProvider, bob: User, access: str
    ) -> None:
        identity = link(bob, corp)
        _, by_password = factories.session_family(bob)
        by_provider = browser.sign_in(corp).json()
        factories.totp_device(bob)
        half_done = browser.sign_in(corp).json()["mfa_token"]
        recovery = factories.recovery_code(bob)
        fresh = factories.access_token_for(bob, amr=["pwd", "otp", "mfa"])

        assert unlink(browser, fresh, identity).status_code == 204

        assert refresh(browser, by_provider["refresh"]).status_code == 401
        assert refresh(browser, by_password.refresh).status_code == 200
        body = {"mfa_token": half_done, "otp": recovery}
        assert browser.client.post("/api/v1/auth/token/totp", body, JSON).status_code == 401

    def test_leaves_the_place_that_asks(self, browser: Browser, corp: OidcProvider) -> None:
        link(factories.bob(), corp)
        pair = browser.sign_in(corp).json()

        unlink(browser, pair["access"], FederatedIdentity.objects.get())

        assert refresh(browser, pair["refresh"]).status_code == 200

    def test_leaves_a_way_in(
        self, browser: Browser, corp: OidcProvider, bob: User, access: str
    ) -> None:
        bob.set_unusable_password()
        bob.save()
        only = link(bob, corp)

        answer = unlink(browser, access, only)

        assert (answer.status_code, answer.json()["code"]) == (409, "last_way_in")
        assert FederatedIdentity.objects.exists()

    def test_counts_only_providers_that_are_there(
        self, browser: Browser, corp: OidcProvider, bob: User, access: str, settings: Any
    ) -> None:
        bob.set_unusable_password()
        bob.save()
        FederatedIdentity.objects.create(user=bob, provider="gone", iss="https://gone/", sub="1")
        one = link(bob, corp)

        assert unlink(browser, access, one).json()["code"] == "last_way_in"
        configure(settings, corp.entry("corp"), corp.entry("gone", issuer="https://gone/"))
        assert unlink(browser, access, one).status_code == 204

    def test_is_of_ones_own_alone(
        self, browser: Browser, corp: OidcProvider, alice: User, access: str
    ) -> None:
        assert unlink(browser, access, FederatedIdentity.objects.get()).status_code == 404
        assert FederatedIdentity.objects.exists()

    @pytest.mark.parametrize("name", ["corp", "idn_x", "usr_" + "0" * 32])
    def test_knows_ids_alone(self, browser: Browser, access: str, name: str) -> None:
        answer = browser.client.delete(f"{IDENTITIES}/{name}", headers=bearer(access))

        assert answer.status_code == 404
