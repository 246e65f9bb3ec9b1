"""Browser sessions end with all others of a person."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import SecurityEvent, SessionFamily, User
from tests import factories

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def browsers() -> dict[str, Client]:
    """Two superusers in the admin, without a mobile session."""
    clients = {"root": Client(), "other": Client()}
    for name, client in clients.items():
        client.force_login(factories.staff(name))
    return clients


def signed_in(browsers: dict[str, Client]) -> set[str]:
    return {name for name, client in browsers.items() if client.get("/admin/").status_code == 200}


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--all"], set()),
        (["--user=root"], {"other"}),
        (["--all", "--user=root"], {"other"}),
        (["--all", "--dry-run"], {"root", "other"}),
    ],
)
def test_end_by_command(browsers: dict[str, Client], words: list[str], left: set[str]) -> None:
    call_command("revoke_tokens", *words, "--yes")

    assert signed_in(browsers) == left


@pytest.mark.parametrize("words", [["--type=refresh"], ["--inactive-for=1m"]])
def test_stay_where_only_some_places_were_selected(
    browsers: dict[str, Client], words: list[str]
) -> None:
    phone, _ = factories.session_family(User.objects.get(username="root"))
    SessionFamily.objects.filter(pk=phone.pk).update(last_used_at=phone.created_at - HOUR)

    call_command("revoke_tokens", "--all", *words, "--yes")

    assert signed_in(browsers) == {"root", "other"}


@pytest.mark.parametrize("by", ["--family={}", "--ip=192.0.2.7", "--inactive-for=30m"])
def test_end_alone(browsers: dict[str, Client], by: str) -> None:
    place = SessionFamily.objects.get(user__username="root")
    SessionFamily.objects.filter(pk=place.pk).update(
        address="192.0.2.7", last_used_at=place.created_at - HOUR / 2
    )

    call_command("revoke_tokens", by.format(place.public_id), "--yes")

    assert signed_in(browsers) == {"other"}


def test_are_counted(browsers: dict[str, Client], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("revoke_tokens", "--user=root", "--yes", "--format=json")

    assert json.loads(capsys.readouterr().out) == {"id": "session", "found": 1, "revoked": 1}


def test_leave_one_event(browsers: dict[str, Client]) -> None:
    call_command("revoke_tokens", "--all", "--yes", "--reason=drill")

    event = SecurityEvent.objects.get(code="signed_out_everywhere")
    assert (event.user, event.data) == (None, {"people": 2, "why": "drill"})


def test_end_with_the_password(browsers: dict[str, Client]) -> None:
    root = User.objects.get(username="root")
    root.set_password("another passphrase")
    root.save()

    assert signed_in(browsers) == {"other"}
