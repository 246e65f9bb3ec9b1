"""A person's API keys: what they grant, how they are replaced, and whom they warn."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.errors import AccountInactive, ApiKeyNotRotatable, InvalidClient, InvalidScope
from accounts.models import ApiKey, EmailKind, OutgoingEmail, SecurityEvent, ServiceClient, User
from accounts.services.authenticate_api_key import authenticate_api_key
from accounts.services.create_api_key import NewApiKey, create_api_key
from accounts.services.revoke_api_key import revoke_api_key
from accounts.services.rotate_api_key import rotate_api_key
from accounts.services.warn_expiring_keys import WARN_BEFORE, warn_expiring_keys
from batchtokens_verifier.errors import InvalidFieldsError
from tests import factories
from tests.budgets import is_own
from tests.leaks import database_dumps, leaks

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def gateway() -> ServiceClient:
    """Return a client whose only key lives for ever."""
    return factories.service_client("gateway", scopes=["introspect"]).client


def key_of(owner: User | ServiceClient, **changes: Any) -> NewApiKey:
    terms: dict[str, Any] = {"name": "laptop", "expires_at": NOW + 30 * DAY, "now": NOW}
    if isinstance(owner, User):
        terms["scopes"] = ["profile"]
    return create_api_key(owner=owner, **(terms | changes))


def opens(text: str, **circumstances: Any) -> bool:
    try:
        authenticate_api_key(key=text, **circumstances)
    except InvalidClient:
        return False
    return True


def test_grants_a_person_their_scopes_and_no_sign_in(alice: User) -> None:
    grant = authenticate_api_key(key=key_of(alice).text)

    assert (grant.subject, grant.scope) == (alice, frozenset({"profile"}))
    assert (grant.auth_time, grant.session_id, grant.acr, grant.amr) == (None, None, "", ())


def test_grants_a_client_what_its_key_names(gateway: ServiceClient) -> None:
    grant = authenticate_api_key(key=key_of(gateway, scopes=[]).text)

    assert (grant.subject, grant.scope) == (gateway, frozenset())


@pytest.mark.parametrize(("offset", "open_"), [(-SECOND, True), (0 * SECOND, False)])
def test_expires_when_it_says(alice: User, offset: timedelta, open_: bool) -> None:
    new = key_of(alice, expires_at=NOW + DAY)

    assert opens(new.text, now=NOW + DAY + offset) is open_


def test_needs_one_statement(alice: User) -> None:
    new = key_of(alice)
    authenticate_api_key(key=new.text)

    with CaptureQueriesContext(connection) as captured:
        authenticate_api_key(key=new.text)

    assert len([query for query in captured if is_own(query["sql"])]) == 1


def test_asks_the_database_nothing_about_a_mistyped_key(alice: User) -> None:
    text = key_of(alice).text
    typo = text[:-1] + ("0" if text[-1] != "0" else "1")

    with CaptureQueriesContext(connection) as captured:
        assert not opens(typo)

    assert not any(ApiKey._meta.db_table in query["sql"] for query in captured)


def test_notes_its_use_once_a_minute(alice: User) -> None:
    new = key_of(alice)
    noted = []

    for seconds in (0, 59, 60):
        authenticate_api_key(key=new.text, now=NOW + seconds * SECOND)
        noted.append(ApiKey.objects.get().last_used_at)

    assert noted == [NOW, NOW, NOW + 60 * SECOND]


@pytest.mark.parametrize("scopes", [["introspect"], ["profile", "trigger_continuous_savings"]])
def test_opens_nothing_that_people_may_not(alice: User, scopes: list[str]) -> None:
    with pytest.raises(InvalidScope):
        key_of(alice, scopes=scopes)


@pytest.mark.parametrize("changes", [{"scopes": []}, {"expires_at": None}])
def test_of_a_person_names_scopes_and_an_end(alice: User, changes: Any) -> None:
    with pytest.raises(InvalidFieldsError):
        key_of(alice, **changes)


def test_is_not_made_for_who_is_switched_off(alice: User) -> None:
    """Nor by a request that was let in just before: with the account, the key would come back."""
    User.objects.update(is_active=False)

    with pytest.raises(AccountInactive):
        key_of(alice)


def test_stores_no_key(alice: User) -> None:
    old = key_of(alice)
    new = rotate_api_key(api_key=old.api_key, overlap=DAY)
    secrets = {
        name: part.encode()
        for name, key in {"old": old, "new": new}.items()
        for name, part in ((name, key.text), (f"{name}'s secret", key.text[20:53]))
    }

    if connection.vendor == "postgresql":
        assert leaks(secrets, database_dumps()) == set()
    rows = str([list(model.objects.values()) for model in (ApiKey, SecurityEvent, OutgoingEmail)])
    assert leaks(secrets, {"rows": rows.encode()}) == set()


class TestRotation:
    def test_lets_both_open_for_a_while(self, alice: User) -> None:
        old = key_of(alice, networks=["192.0.2.0/24"])

        new = rotate_api_key(api_key=old.api_key, overlap=DAY, by=alice, now=NOW)

        row = ApiKey.objects.get(pk=old.api_key.pk)
        assert (row.successor, row.expires_at) == (new.api_key, NOW + DAY)
        assert new.api_key.allowed_networks == ["192.0.2.0/24"]
        assert new.api_key.expires_at == NOW + 30 * DAY
        assert SecurityEvent.objects.get(code="api_key_rotated").data["by"] == alice.public_id
        assert OutgoingEmail.objects.filter(kind=EmailKind.API_KEY_CREATED).count() == 2

    def test_lengthens_no_life(self, alice: User) -> None:
        old = key_of(alice, expires_at=NOW + DAY)

        rotate_api_key(api_key=old.api_key, overlap=2 * DAY, now=NOW)

        assert ApiKey.objects.get(pk=old.api_key.pk).expires_at == NOW + DAY

    def test_gives_a_client_s_key_that_never_ended_an_end(self, gateway: ServiceClient) -> None:
        old = ApiKey.objects.get()

        new = rotate_api_key(api_key=old, overlap=DAY, now=NOW)

        assert ApiKey.objects.get(pk=old.pk).expires_at == NOW + DAY
        assert (new.api_key.client, new.api_key.expires_at) == (gateway, None)
        assert not OutgoingEmail.objects.exists()

    def test_keeps_to_a_policy_that_is_stricter_by_now(self, alice: User, settings: Any) -> None:
        old = key_of(alice)
        settings.API_KEY_MAX_AGE = 7 * DAY

        new = rotate_api_key(api_key=old.api_key, overlap=DAY, now=NOW)

        assert new.api_key.expires_at == NOW + 7 * DAY

    def test_happens_once(self, alice: User) -> None:
        old = key_of(alice).api_key
        rotate_api_key(api_key=old, overlap=DAY)

        with pytest.raises(ApiKeyNotRotatable):
            rotate_api_key(api_key=old, overlap=DAY)

    def test_serves_nobody_who_is_switched_off(self, alice: User) -> None:
        old = key_of(alice).api_key
        User.objects.update(is_active=False)

        with pytest.raises(AccountInactive):
            rotate_api_key(api_key=old, overlap=DAY)

    @pytest.mark.parametrize("how", ["revoked", "expired"])
    def test_revives_nothing(self, alice: User, how: str) -> None:
        old = key_of(alice).api_key
        if how == "revoked":
            revoke_api_key(api_key=old)

        with pytest.raises(ApiKeyNotRotatable):
            rotate_api_key(api_key=old, overlap=DAY, now=NOW + 30 * DAY * (how == "expired"))

    @pytest.mark.parametrize("overlap", [-SECOND, 31 * DAY])
    def test_has_an_overlap_with_bounds(self, alice: User, overlap: timedelta) -> None:
        with pytest.raises(InvalidFieldsError):
            rotate_api_key(api_key=key_of(alice).api_key, overlap=overlap)


class TestWarnings:
    def warned(self) -> list[str]:
        mails = OutgoingEmail.objects.filter(kind=EmailKind.API_KEY_EXPIRING)
        return [str(mail.data["name"]) for mail in mails]

    def test_come_once_two_weeks_before(self, alice: User) -> None:
        key_of(alice)
        last_day = NOW + 30 * DAY - WARN_BEFORE

        assert warn_expiring_keys(now=last_day - SECOND) == 0
        assert warn_expiring_keys(now=last_day) == 1
        assert warn_expiring_keys(now=last_day + DAY) == 0

        assert self.warned() == ["laptop"]

    @pytest.mark.parametrize("how", ["revoked", "rotated", "expired", "disabled"])
    def test_leave_out_what_needs_none(self, alice: User, how: str) -> None:
        old = key_of(alice, expires_at=NOW + DAY).api_key
        at = NOW + DAY if how == "expired" else NOW + SECOND
        if how == "revoked":
            revoke_api_key(api_key=old)
        elif how == "rotated":
            rotate_api_key(api_key=old, overlap=DAY)
            ApiKey.objects.exclude(pk=old.pk).update(expires_at=NOW + 30 * DAY)
        elif how == "disabled":
            User.objects.update(is_active=False)

        assert warn_expiring_keys(now=at) == 0
        assert self.warned() == []

    def test_of_a_client_s_key_go_to_the_log(self, gateway: ServiceClient) -> None:
        key_of(gateway, expires_at=NOW + DAY)

        assert warn_expiring_keys(now=NOW + SECOND) == 1

        assert SecurityEvent.objects.get(code="api_key_expiring").client == gateway
        assert not OutgoingEmail.objects.exists()

    def test_tell_when(self, alice: User) -> None:
        expires_at = key_of(alice, expires_at=NOW + DAY).api_key.expires_at

        warn_expiring_keys(now=NOW)

        mail = OutgoingEmail.objects.get(kind=EmailKind.API_KEY_EXPIRING)
        assert mail.data["expires_at"] == f"{expires_at:%Y-%m-%d %H:%M} UTC"
