"""Browser sessions end with all others of a person, though nothing lists them."""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import SecurityEvent, User
from tests import factories

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("words", [["--type=refresh"], ["--inactive-for=0s"]])
def test_stay_where_only_some_places_were_selected(
    browsers: dict[str, Client], words: list[str]
) -> None:
    factories.session_family(User.objects.get(username="root"))

    call_command("revoke_tokens", "--all", *words, "--yes")

    assert signed_in(browsers) == {"root", "other"}


def test_leave_one_event(browsers: dict[str, Client]) -> None:
    call_command("revoke_tokens", "--all", "--yes", "--reason=drill")

    event = SecurityEvent.objects.get(code="signed_out_everywhere")
    assert (event.user, event.data) == (None, {"people": 2, "why": "drill"})


def test_end_with_the_password(browsers: dict[str, Client]) -> None:
    root = User.objects.get(username="root")
    root.set_password("another passphrase")
    root.save()

    assert signed_in(browsers) == {"other"}
