"""Opening a place: the device that is new, and what is told of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.errors import InvalidCredentials
from accounts.models import (
    EmailKind,
    OutgoingEmail,
    RequestContext,
    SecurityEvent,
    SessionFamily,
    User,
)
from accounts.services.address_email import address_email
from accounts.services.open_session import open_browser_session, open_mobile_session
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.write_email import write_email
from tests import factories

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Android {}; Mobile; rv:{}.0) Gecko/124.0 Firefox/{}.0"
HOME = RequestContext("192.0.2.7", FIREFOX.format(14, 124, 124), "")
NEIGHBOUR = RequestContext("192.0.2.200", FIREFOX.format(15, 130, 130), "")
ABROAD = RequestContext("198.51.100.7", HOME.user_agent, "")
LAPTOP = RequestContext(HOME.address, "curl/8.5.0", "")


@pytest.fixture
def alice() -> User:
    ensure_signing_keys()
    return factories.alice()


def open_place(user: User, kind: str, context: RequestContext) -> None:
    if kind == "browser":
        open_browser_session(user=user, amr=["pwd"], context=context)
        return
    open_mobile_session(
        user=user,
        audience="https://example.org",
        scope="profile",
        amr=["pwd"],
        context=context,
        now=timezone.now(),
    )


def mails() -> list[dict[str, Any]]:
    return list(
        OutgoingEmail.objects.filter(kind=EmailKind.NEW_DEVICE).values_list("data", flat=True)
    )


@pytest.mark.parametrize("kind", ["browser", "mobile"])
def test_the_very_first_place_is_no_news(alice: User, kind: str) -> None:
    open_place(alice, kind, HOME)

    assert mails() == []


@pytest.mark.parametrize("kind", ["browser", "mobile"])
@pytest.mark.parametrize("context", [ABROAD, LAPTOP, RequestContext()])
def test_another_device_or_network_is(alice: User, kind: str, context: RequestContext) -> None:
    open_place(alice, "mobile", HOME)

    open_place(alice, kind, context)

    assert len(mails()) == 1


@pytest.mark.parametrize("kind", ["browser", "mobile"])
@pytest.mark.parametrize("context", [HOME, NEIGHBOUR])
def test_the_same_device_in_the_same_network_is_not(
    alice: User, kind: str, context: RequestContext
) -> None:
    """A browser that was updated is the same one, and so is another address of the network."""
    open_place(alice, "browser", HOME)

    open_place(alice, kind, context)

    assert mails() == []


def test_device_and_network_are_known_together(alice: User) -> None:
    for context in (HOME, RequestContext("198.51.100.7", "curl/8", "")):
        open_place(alice, "browser", context)

    open_place(alice, "browser", ABROAD)

    assert len(mails()) == 2


def test_somebody_elses_places_make_nothing_known(alice: User) -> None:
    open_place(factories.bob(), "browser", ABROAD)
    open_place(alice, "browser", HOME)

    open_place(alice, "browser", ABROAD)

    assert len(mails()) == 1


def test_the_mail_names_device_address_and_time(alice: User) -> None:
    open_place(alice, "browser", LAPTOP)

    open_place(alice, "browser", ABROAD)

    [mail] = mails()
    place = SessionFamily.objects.latest("pk")
    assert (mail["device"], mail["address"]) == ("Firefox on Android", "198.51.100.7")
    assert mail["at"] == f"{place.created_at:%Y-%m-%d %H:%M} UTC"
    assert OutgoingEmail.objects.get().user == alice


def test_the_mail_tells_what_the_row_holds(alice: User) -> None:
    for context in (HOME, ABROAD):
        open_place(alice, "browser", context)
    row = OutgoingEmail.objects.get()
    addressed = address_email(row)
    assert addressed

    body = write_email(addressed, token="t", data=row.data).body

    assert all(row.data[name] in body for name in ("device", "address", "at"))


@pytest.mark.parametrize("kind", ["browser", "mobile"])
@pytest.mark.parametrize("change", [{"password": "another"}, {"is_active": False}])
def test_a_password_that_was_changed_meanwhile_opens_no_place(
    alice: User, kind: str, change: dict[str, Any]
) -> None:
    User.objects.filter(pk=alice.pk).update(**change)

    with pytest.raises(InvalidCredentials):
        open_place(alice, kind, HOME)

    assert not SessionFamily.objects.exists()
    refused = SecurityEvent.objects.get(code="sign_in_refused")
    assert (refused.user, refused.data) == (alice, {"reason": "changed_meanwhile"})


@pytest.mark.django_db(transaction=True)
def test_place_and_mail_are_stored_together_or_not_at_all(alice: User) -> None:
    open_place(alice, "browser", HOME)

    def no_events(execute: Any, sql: str, *rest: Any) -> Any:
        if "accounts_securityevent" in sql:
            raise DatabaseError("the log is away")
        return execute(sql, *rest)

    with connection.execute_wrapper(no_events), pytest.raises(DatabaseError):
        open_place(alice, "browser", ABROAD)

    assert (mails(), SessionFamily.objects.count()) == ([], 1)


def test_a_browsers_place_lives_a_day_and_holds_no_token(alice: User) -> None:
    place = open_browser_session(user=alice, amr=["pwd"], context=HOME)

    assert place.expires_at - place.created_at == timedelta(hours=24)
    assert (place.current_jti_digest, place.acr) == ("", "aal1")
    alice.refresh_from_db()
    assert alice.last_login == place.created_at
