"""`retire_key` and `operations reissue`: what an operator does when a key was found out."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.management.base import Exit
from accounts.models import SecurityEvent, SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import LedgerEntry, OperationToken
from batchtokens.services.issuing.issue import Issued
from tests import mandates
from tests.commands import Ended, operations

pytestmark = pytest.mark.django_db(transaction=True)
COMMAND = "authproject.management.commands.retire_key"
WHY = ("--reason", "found in a backup", "--yes")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect how long the command waits, and let the time be over."""
    waited: list[float] = []
    monkeypatch.setattr(f"{COMMAND}.time.sleep", waited.append)
    return waited


def retire(*words: str) -> Ended:
    out, err = StringIO(), StringIO()
    try:
        call_command("retire_key", *words, "--format", "json", stdout=out, stderr=err)
    except CommandError as error:
        return Ended(error.returncode, out.getvalue(), str(error))
    return Ended(Exit.OK, out.getvalue(), err.getvalue())


def everything() -> tuple[Any, ...]:
    keys = SigningKey.objects.order_by("kid").values_list("kid", "retired_at", "compromised_at")
    rows = OperationToken.objects.order_by("pk").values_list("holds", "jws_digest", "seq")
    return (*keys, *rows, LedgerEntry.objects.count())


def test_disowns_waits_and_sweeps_what_was_signed_meanwhile(
    world: mandates.Savings, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def signed_meanwhile(seconds: float) -> None:
        """Store what a process has signed that had not heard of it."""
        waited.append(seconds)
        late = mandates.issue(world)
        OperationToken.objects.filter(pk=late.row.pk).update(kid=issued.row.kid)

    monkeypatch.setattr(f"{COMMAND}.time.sleep", signed_meanwhile)

    ended = retire(issued.row.kid, "--compromised", *WHY)

    assert (ended.code, ended.rows["disowned"]) == (Exit.OK, 2)
    assert 55 < waited[0] <= 62
    assert OperationToken.objects.filter(disowned_at=None).count() == 0


def test_does_not_wait_where_it_was_long_ago(issued: Issued, waits: list[float]) -> None:
    retire(issued.row.kid, "--compromised", "--no-wait", *WHY)
    assert waits == []

    ended = retire(issued.row.kid, "--compromised", *WHY)

    assert (ended.code, ended.rows["disowned"], len(waits)) == (Exit.OK, 1, 1)


@pytest.mark.parametrize("ran_before", [False, True], ids=["first", "again"])
def test_the_wait_begins_where_others_can_see_it(
    issued: Issued, waits: list[float], ran_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To disown very many takes its time, and until then nobody sees that the key has ended."""

    def began_long_ago(**how: Any) -> SigningKey:
        return retire_signing_key(**how, now=timezone.now() - timedelta(seconds=30))

    monkeypatch.setattr(f"{COMMAND}.retire_signing_key", began_long_ago)
    if ran_before:
        retire(issued.row.kid, "--compromised", "--no-wait", *WHY)

    retire(issued.row.kid, "--compromised", *WHY)

    assert waits[0] > 55


def test_says_who_is_not_done(
    issued: Issued, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{COMMAND}.LONGEST", 0.0)
    monkeypatch.setattr(f"{COMMAND}.open_signers", lambda: {"7/1"})
    monkeypatch.setattr(f"{COMMAND}.still_open", set)

    ended = retire(issued.row.kid, "--compromised", *WHY)

    assert (ended.code, "run again" in ended.said) == (Exit.PARTIAL, True)


def test_a_plainly_retired_key_disowns_nothing(issued: Issued, waits: list[float]) -> None:
    ended = retire(issued.row.kid, *WHY)

    assert (ended.rows["disowned"], ended.rows["compromised_at"], waits) == (0, None, [])
    assert current_key_ring().has(issued.row.kid)
    assert OperationToken.objects.get().holds == []


def test_a_dry_run_changes_nothing(issued: Issued) -> None:
    before = everything()

    ended = retire(issued.row.kid, "--compromised", "--dry-run", "--reason", "drill")

    assert (ended.code, ended.rows["disowned"]) == (Exit.OK, 1)
    assert everything() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [(("unknown", *WHY), Exit.NOTHING_MATCHED), (("KID", "--yes"), Exit.USAGE)],
)
def test_refuses(issued: Issued, words: tuple[str, ...], code: Exit) -> None:
    before = everything()

    ended = retire(*(issued.row.kid if word == "KID" else word for word in words))

    assert (ended.code, everything()) == (code, before)


def test_records_why(issued: Issued, waits: list[float]) -> None:
    retire(issued.row.kid, "--compromised", *WHY)

    event = SecurityEvent.objects.get(code="signing_key_compromised")
    assert event.data["reason"] == "found in a backup"


@pytest.mark.parametrize("which", ["--key", "--operation", "--all"])
def test_reissues(issued: Issued, waits: list[float], which: str) -> None:
    retire(issued.row.kid, "--compromised", *WHY)
    named = {"--key": [issued.row.kid], "--operation": [issued.row.public_id], "--all": []}

    ended = operations("reissue", which, *named[which], *WHY)

    assert ended.code == Exit.OK
    assert json.loads(ended.out) == [{"id": issued.row.public_id, "reissued": "yes"}]
    assert OperationToken.objects.get().disowned_at is None


def test_reissues_only_those_that_are_named(
    world: mandates.Savings, issued: Issued, waits: list[float]
) -> None:
    other = mandates.issue(world).row
    assert retire(issued.row.kid, "--compromised", *WHY).rows["disowned"] == 2

    ended = operations("reissue", "--operation", issued.row.public_id, *WHY)

    assert [row["id"] for row in ended.rows] == [issued.row.public_id], ended
    assert list(OperationToken.objects.exclude(disowned_at=None)) == [other]


def test_reissue_takes_along_what_was_signed_meanwhile(
    world: mandates.Savings, issued: Issued, waits: list[float]
) -> None:
    retire(issued.row.kid, "--compromised", "--no-wait", *WHY)
    late = mandates.issue(world)
    OperationToken.objects.filter(pk=late.row.pk).update(kid=issued.row.kid)
    entry = LedgerEntry.objects.get(operation_token=late.row.pk)
    assert entry.seq == 1

    ended = operations("reissue", "--key", issued.row.kid, *WHY)

    assert {row["id"] for row in ended.rows} == {issued.row.public_id, late.row.public_id}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--all", *WHY), Exit.NOTHING_MATCHED),
        (("--all", "--yes"), Exit.USAGE),
        (WHY, Exit.USAGE),
        (("--all", "--key", "k", *WHY), Exit.USAGE),
    ],
)
def test_reissue_refuses(issued: Issued, words: tuple[str, ...], code: Exit) -> None:
    assert operations("reissue", *words).code == code


def test_a_dry_reissue_changes_nothing(issued: Issued, waits: list[float]) -> None:
    retire(issued.row.kid, "--compromised", *WHY)
    before = everything()

    ended = operations("reissue", "--all", "--dry-run", "--reason", "drill")

    assert ended.rows == [{"id": issued.row.public_id, "reissued": "would be"}]
    assert everything() == before


def test_says_which_ones_it_cannot_sign(
    world: mandates.Savings, issued: Issued, waits: list[float]
) -> None:
    lost = mandates.issue(world).row
    OperationToken.objects.filter(pk=lost.pk).update(claims_sealed=None)
    retire(issued.row.kid, "--compromised", *WHY)

    ended = operations("reissue", "--all", *WHY)

    assert ended.code == Exit.PARTIAL
    assert {row["id"] for row in ended.rows if row["reissued"] != "yes"} == {lost.public_id}
