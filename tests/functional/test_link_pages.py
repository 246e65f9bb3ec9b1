"""/accounts/links/…: the page behind every e-mail's link."""

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from accounts.models import LinkPurpose, OneTimeLink, User
from accounts.pages.links import PAGES
from accounts.services.change_email import ask_for_email_change
from accounts.services.reset_password import ask_for_reset
from accounts.services.verify_email import resend_verification
from accounts.services.write_email import LINK_PAGE
from tests import factories
from tests.mailbox import code_in, code_sent, sent

pytestmark = pytest.mark.django_db
NEW = "an even longer passphrase"


@pytest.fixture
def alice() -> User:
    person = factories.alice()
    User.objects.update(email_verified_at=None)
    return person


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def post(client: Client, slug: str, **fields: str) -> Any:
    """Send the page's form as a browser does."""
    path = LINK_PAGE + slug
    client.get(path)
    token = client.cookies["csrf"].value
    return client.post(path, {"csrfmiddlewaretoken": token, **fields})


def test_there_is_a_page_for_every_purpose(client: Client) -> None:
    assert len(PAGES) == len(LinkPurpose)
    for slug in PAGES:
        answer = client.get(LINK_PAGE + slug)
        assert answer.status_code == 200
        assert "no-cache" in answer.headers["Cache-Control"]
        assert b'name="token"' in answer.content


def test_no_other_page_is_there(client: Client) -> None:
    assert client.get(f"{LINK_PAGE}other").status_code == 404


def test_looking_uses_nothing_up(client: Client, alice: User) -> None:
    resend_verification(email=alice.email)
    code_sent(to=alice.email)

    client.get(f"{LINK_PAGE}verify-email")

    assert OneTimeLink.objects.get().used_at is None


def test_verifies_an_address(client: Client, alice: User) -> None:
    resend_verification(email=alice.email)

    answer = post(client, "verify-email", token=f" {code_sent(to=alice.email)} ")

    assert answer.status_code == 200
    assert b"Your address is verified." in answer.content
    alice.refresh_from_db()
    assert alice.email_verified_at is not None


def test_confirms_another_address(client: Client, alice: User) -> None:
    ask_for_email_change(by=alice, email="new@example.org")

    assert post(client, "change-email", token=code_sent(to="new@example.org")).status_code == 200
    alice.refresh_from_db()
    assert alice.email == "new@example.org"


def test_sets_a_password_and_locks_again(client: Client, alice: User) -> None:
    ask_for_reset(email=alice.email)
    code = code_sent(to=alice.email)

    refused = post(client, "reset-password", token=code, new_password="too short")
    assert refused.status_code == 400
    assert b"Use 15 to 256 characters" in refused.content
    assert b"too short" not in refused.content
    assert post(client, "reset-password", token=code, new_password=NEW).status_code == 200
    alice.refresh_from_db()
    assert alice.check_password(NEW)

    (notice,) = sent(to=alice.email)
    assert post(client, "not-me", token=code_in(notice)).status_code == 200
    alice.refresh_from_db()
    assert not alice.is_active


@pytest.mark.parametrize("slug", PAGES)
@pytest.mark.parametrize("token", ["", "x", "\x00", "<script>alert(1)</script>"])
def test_says_that_a_code_is_not_valid(client: Client, slug: str, token: str) -> None:
    answer = post(client, slug, token=token, new_password=NEW)

    assert answer.status_code == 400
    assert b'role="alert"' in answer.content
    assert b"<script>alert" not in answer.content


@pytest.mark.parametrize("slug", PAGES)
def test_takes_no_form_of_another_site(client: Client, slug: str) -> None:
    assert client.post(LINK_PAGE + slug, {"token": "x"}).status_code == 403


@pytest.mark.parametrize(("slug", "most"), [("verify-email", 7), ("reset-password", 2)])
def test_counts_with_the_apis_addresses(
    client: Client, alice: User, settings: Any, slug: str, most: int
) -> None:
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_ANONYMOUS = ((7, 3600),)
    settings.RATE_LIMIT_EXPENSIVE = ((2, 3600),)
    ask_for_reset(email=alice.email)
    code = code_sent(to=alice.email)
    fields = {"token": code, "new_password": "too short"}

    answers = [post(client, slug, **fields) for _ in range(most + 1)]

    assert [each.status_code for each in answers] == [400] * most + [429]
    assert answers[-1].headers["Retry-After"]
    assert "RateLimit" in answers[0].headers
    assert client.get(LINK_PAGE + slug).status_code == 200


def test_looks_at_no_password_of_any_length(client: Client, alice: User) -> None:
    ask_for_reset(email=alice.email)

    answer = post(
        client,
        "reset-password",
        token=code_sent(to=alice.email),
        new_password="\u0315\u0300" * 21_000,  # three seconds to normalise
    )

    assert answer.status_code == 400
    assert b"at most 500 characters" in answer.content


def test_says_all_that_is_wrong_in_one_place(client: Client, alice: User) -> None:
    ask_for_reset(email=alice.email)

    answer = post(client, "reset-password", token=code_sent(to=alice.email), new_password="aaaaaa")

    page = answer.content.decode()
    assert page.count('id="id_new_password_error"') == 1
    described = re.search('name="new_password"[^>]*aria-describedby="([^"]*)"', page)
    assert described
    assert all(f'id="{each}"' in page for each in described[1].split())


def test_the_script_is_a_file_of_ours(client: Client) -> None:
    page = client.get(f"{LINK_PAGE}not-me").content.decode()

    assert 'src="/static/js/link.js"' in page
    assert finders.find("js/link.js")
    assert page.count("<script") == 1
