"""The commands that cross the apps, and what all commands share."""

import json
import subprocess
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.management.base import (
    Findings,
    NothingMatched,
    PartialFailure,
    ProductCommand,
    Refused,
    Stop,
    UsageError,
)
from accounts.models import EmailKind, OutgoingEmail
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens_verifier.errors import OperationHeld
from tests.servers import database_url, environment, manage

pytestmark = pytest.mark.django_db(transaction=True)

ROWS: list[dict[str, Any]] = [{"id": "op_1", "note": "a,b"}, {"id": "op_2", "note": None}]


class Listing(ProductCommand):
    lists = True
    rows: list[dict[str, Any]] = ROWS

    def handle(self, *args: Any, **options: Any) -> None:
        self.emit(self.rows)


def printed(**options: Any) -> str:
    out = StringIO()
    call_command(Listing(stdout=out), **options)
    return out.getvalue()


def test_prints_json_when_piped() -> None:
    assert json.loads(printed()) == ROWS


def test_prints_one_object_a_line() -> None:
    assert [json.loads(line) for line in printed(format="ndjson").splitlines()] == ROWS


def test_prints_csv_with_a_header() -> None:
    assert printed(format="csv").splitlines() == ["id,note", 'op_1,"a,b"', "op_2,"]


def test_prints_a_table_without_markup() -> None:
    lines = printed(format="table").splitlines()
    assert [line.split() for line in lines] == [["id", "note"], ["op_1", "a,b"], ["op_2"]]


def test_prints_ids_only_when_quiet() -> None:
    assert printed(quiet=True).split() == ["op_1", "op_2"]


def test_an_empty_list_is_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listing, "rows", [])
    assert printed() == "[]\n"


def test_a_refusal_of_the_product_is_exit_4() -> None:
    class Held(ProductCommand):
        def handle(self, *args: Any, **options: Any) -> None:
            raise OperationHeld("Held by the user.")

    with pytest.raises(Refused, match="Held by the user") as refused:
        call_command(Held())
    assert refused.value.returncode == 4


@pytest.mark.parametrize("command", ["list_keys", "verify_ledger", "seed_users"])
def test_an_empty_database_ends_in_a_sentence(command: str) -> None:
    ended = subprocess.run(
        manage(command), env=environment(empty()), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("run manage.py migrate.")
    assert ended.stderr.count("\n") == 1


def empty() -> dict[str, str]:
    """Name a database without tables."""
    if connection.vendor == "sqlite":
        return {"DATABASE_URL": "sqlite://:memory:"}
    name = connection.settings_dict["NAME"]
    return {"DATABASE_URL": database_url().replace(f"/{name}", "/postgres")}


@pytest.mark.parametrize(
    ("stop", "code"),
    [(Stop, 1), (UsageError, 2), (NothingMatched, 3), (PartialFailure, 5), (Findings, 6)],
)
def test_each_way_to_stop_has_its_exit_code(stop: type[Stop], code: int) -> None:
    assert stop("So it is.").returncode == code


def test_a_dangerous_act_without_a_terminal_needs_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    with pytest.raises(UsageError, match="--yes"):
        Listing().confirm("Revoke 3 tokens?", yes=False)
    Listing().confirm("Revoke 3 tokens?", yes=True)


def test_doctor_names_what_to_mend() -> None:
    out = StringIO()
    with pytest.raises(Findings):
        call_command("doctor", format="json", stdout=out)
    findings = {row["finding"] for row in json.loads(out.getvalue())}
    assert "ENVIRONMENT is test, not production." in findings
    assert any(finding.startswith("keys: no active key") for finding in findings)


def test_doctor_is_content_with_keys() -> None:
    ensure_signing_keys()
    out = StringIO()
    with pytest.raises(Findings):
        call_command("doctor", format="json", stdout=out)
    assert "services" not in {row["id"] for row in json.loads(out.getvalue())}


@pytest.mark.parametrize(("minutes", "found"), [(14, False), (16, True)])
def test_doctor_tells_that_nobody_sends_mail(minutes: int, found: bool) -> None:
    queued_at = timezone.now() - timedelta(minutes=minutes)
    OutgoingEmail.objects.create(
        kind=EmailKind.NAME_NOT_FREE, address="alice@example.org", created_at=queued_at
    )
    out = StringIO()
    with pytest.raises(Findings):
        call_command("doctor", format="json", stdout=out)
    assert ("mail" in {row["id"] for row in json.loads(out.getvalue())}) == found
