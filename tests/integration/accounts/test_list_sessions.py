"""`list_sessions`: where people are signed in, for operators and scripts."""

import csv
import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.management.base import NothingMatched, UsageError
from accounts.models import EndReason, RequestContext, SessionFamily, User
from tests import browsers, factories

pytestmark = pytest.mark.django_db
CURL = RequestContext("192.0.2.7", "curl/8.5.0", "")


@pytest.fixture
def alice() -> User:
    """Somebody with a phone and a browser."""
    alice = factories.alice()
    factories.session_family(alice)
    browsers.sign_in(Client(), alice, context=CURL)
    return alice


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("list_sessions", *words, stdout=out)
    return out.getvalue()


def listed(*words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("--format=json", *words))
    return rows


def test_lists_both_kinds_newest_first(alice: User) -> None:
    browser, phone = listed()

    place = SessionFamily.objects.get(kind="browser")
    assert (browser["id"], browser["kind"], phone["kind"]) == (place.public_id, "browser", "mobile")
    assert (browser["user"], browser["device"], browser["address"]) == (
        "alice",
        "curl",
        "192.0.2.7",
    )
    assert (browser["acr"], browser["amr"]) == ("aal2", "pwd otp mfa")


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (["--kind=browser"], ["browser"]),
        (["--kind=mobile"], ["mobile"]),
        (["--user=ALICE"], ["browser", "mobile"]),
        (["--user=bob"], []),
        (["--limit=1"], ["browser"]),
    ],
)
def test_narrows(alice: User, words: list[str], kinds: list[str]) -> None:
    factories.bob()

    assert [row["kind"] for row in listed(*words)] == kinds


def test_finds_people_by_id(alice: User) -> None:
    assert len(listed(f"--user={alice.public_id}")) == 2


def test_leaves_out_what_has_ended(alice: User) -> None:
    SessionFamily.objects.all().end(reason=EndReason.REVOKED, now=timezone.now())

    assert listed() == []


def test_prints_ids_or_other_forms(alice: User) -> None:
    ids = run("--quiet").split()

    assert [row["id"] for row in csv.DictReader(io.StringIO(run("--format=csv")))] == ids
    assert [json.loads(line)["id"] for line in run("--format=ndjson").splitlines()] == ids


@pytest.mark.parametrize(
    ("word", "error"), [("--user=nobody", NothingMatched), ("--user=usr_x", UsageError)]
)
def test_refuses_whom_it_does_not_know(word: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        run(word)


def test_prints_no_secret(alice: User) -> None:
    digests = SessionFamily.objects.exclude(current_jti_digest="").values_list(
        "current_jti_digest", flat=True
    )

    assert not [digest for digest in digests if digest in run()]
