"""`operations list|show|hold|resume|cancel|run_due`: what operators see, and how it ends."""

import csv
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from accounts.management.base import Exit
from accounts.models import ServiceClient
from batchtokens.management.commands.operations import VERBS
from batchtokens.models import (
    HoldKind,
    LedgerEntry,
    OperationToken,
    QueuedRun,
    RunState,
    salted_digest,
)
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.keys.disown import disown_operations
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.queue.enqueue import enqueue_operation_token
from tests import mandates
from tests.commands import operations
from tests.executors import Executor, listening

pytestmark = pytest.mark.django_db(transaction=True)
FORMATS = ("table", "json", "ndjson", "csv")
WHY = ("--reason", "the bank asked", "--yes")


@pytest.fixture
def op(issued: Issued) -> str:
    return issued.row.public_id


def everything() -> tuple[Any, ...]:
    """Return all that a change could touch."""
    rows = OperationToken.objects.order_by("pk").values_list("holds", "cancelled_at", "seq")
    return (*rows, LedgerEntry.objects.count(), *QueuedRun.objects.values_list("state", "attempts"))


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_list_is_no_error(form: str) -> None:
    ended = operations("list", form=form)
    assert ended.code == Exit.OK
    assert ended.out == {"json": "[]\n", "table": "Nothing to list.\n"}.get(form, "")


@pytest.mark.parametrize("form", FORMATS)
def test_lists_in_each_format(form: str, op: str) -> None:
    ended = operations("list", form=form)
    assert ended.code == Exit.OK
    match form:
        case "json":
            ids = [row["id"] for row in ended.rows]
        case "ndjson":
            ids = [json.loads(line)["id"] for line in ended.out.splitlines()]
        case "csv":
            ids = [row["id"] for row in csv.DictReader(StringIO(ended.out))]
        case _:
            ids = [op for line in ended.out.splitlines() if op[:12] in line]
    assert ids == [op]


def test_a_terminal_gets_a_line_each(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    operations("hold", op, *WHY)

    _, line = operations("list", form="table").out.splitlines()

    assert line.split()[:3] == [op, "held", "(staff)"]
    assert "0 of 30" in line


def test_csv_has_no_formulas(world: mandates.Savings, op: str) -> None:
    ServiceClient.objects.filter(pk=world.redeemer.pk).update(client_id="=cmd()")
    (row,) = csv.DictReader(StringIO(operations("list", form="csv").out))
    assert row["executor"] == "'=cmd()"


def test_quiet_prints_ids_only(op: str) -> None:
    assert operations("list", "--quiet").out == f"{op}\n"
    assert operations("show", op, "--quiet").out == f"{op}\n"


@pytest.mark.parametrize(
    ("option", "value", "matches"),
    [
        ("--user", "alice", True),
        ("--client", "trigger", True),
        ("--client", "first-party", False),
        ("--executor", "savings", True),
        ("--executor", "trigger", False),
        ("--type", "savings.deposit", True),
        ("--status", "active", True),
        ("--status", "held", False),
        ("--since", "1h", True),
        ("--since", "2100-01-01", False),
        ("--limit", "0", False),
    ],
)
def test_filters(option: str, value: str, matches: bool, op: str) -> None:
    ended = operations("list", option, value)
    assert ended.code == Exit.OK
    assert [row["id"] for row in ended.rows] == ([op] if matches else [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list", "--user", "nobody"), Exit.NOTHING_MATCHED),
        (("list", "--executor", "nobody"), Exit.NOTHING_MATCHED),
        (("list", "--client", "nobody"), Exit.NOTHING_MATCHED),
        (("list", "--type", "savings"), Exit.NOTHING_MATCHED),
        (("list", "--kid", "nothing"), Exit.NOTHING_MATCHED),
        (("list", "--limit", "-1"), Exit.USAGE),
        (("list", "--user", ""), Exit.USAGE),
        (("list", "--status", "happy"), Exit.USAGE),
        (("list", "--since", "yesterday"), Exit.USAGE),
        (("show", "usr_1"), Exit.USAGE),
        (("show", f"op_{'0' * 32}"), Exit.NOTHING_MATCHED),
        (("hold", f"op_{'0' * 32}", *WHY), Exit.NOTHING_MATCHED),
        (("run_due", "--threads", "0"), Exit.USAGE),
        (("dance",), Exit.USAGE),
        ((), Exit.USAGE),
    ],
)
def test_what_cannot_be_done_has_its_exit_code(arguments: tuple[str, ...], code: Exit) -> None:
    assert operations(*arguments, form=None).code == code


def test_shows_facts_limits_runs_and_history(
    world: mandates.Savings, issued: Issued, op: str
) -> None:
    answer = mandates.redeem(world, issued)
    shown = operations("show", op).rows
    assert (shown["id"], shown["status"]) == (op, "active")
    assert shown["facts"]["parameter_digest"] == issued.row.parameter_digest
    assert shown["limits"]["periodic_limits"][0]["max_count"] == 1
    assert [run["id"] for run in shown["runs"]] == [answer.redemption.pk]
    assert [entry["kind"] for entry in shown["timeline"]] == ["reserved", "issued"]


@pytest.mark.parametrize("form", ["table", "csv"])
def test_shows_lines_where_nothing_nests(form: str, op: str) -> None:
    out = operations("show", op, form=form).out
    assert all(part in out for part in ("facts", "limits", "timeline", "savings.deposit"))


def test_never_prints_a_stored_secret(world: mandates.Savings, issued: Issued, op: str) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    printed = operations("show", op).out + operations("list").out
    signature = issued.token.rpartition(".")[2]
    row = OperationToken.objects.get()
    secrets = (issued.token, signature, bytes(row.salt).hex(), str(bytes(row.salt)))
    assert not [secret for secret in secrets if secret in printed]


def test_holds_resumes_and_cancels_as_staff_with_the_operator_as_actor(op: str) -> None:
    held = operations("hold", op, *WHY, "--operator", "olga").rows
    assert held == [{"id": op, "done": "held", "refused": "", "status": "held"}]
    row = OperationToken.objects.get()
    entry = LedgerEntry.objects.of_operations().get(seq=2)
    data = json.loads(entry.entry)["data"]
    assert (row.holds, data["by"], entry.note) == (["staff"], "staff", "the bank asked")
    assert data["actor"] == salted_digest(bytes(row.salt), "operator:olga")
    assert operations("resume", op, *WHY).rows[0]["status"] == "active"
    assert operations("cancel", op, *WHY).rows[0]["status"] == "cancelled"


@pytest.mark.parametrize("verb", ["hold", "resume", "cancel"])
def test_a_dry_run_changes_nothing(verb: str, op: str) -> None:
    if verb == "resume":
        operations("hold", op, *WHY)
    before = everything()
    (row,) = operations(verb, op, "--reason", "why", "--dry-run").rows
    assert row["done"].startswith("would be ")
    assert everything() == before


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_refusal_ends_with_4_and_changes_nothing(dry: tuple[str, ...], op: str) -> None:
    before = everything()
    ended = operations("resume", op, *WHY, *dry)
    assert (ended.code, ended.rows[0]["refused"]) == (Exit.REFUSED, "hold_not_allowed")
    operations("cancel", op, *WHY)
    assert operations("hold", op, *WHY, *dry).rows[0]["refused"] == "operation_final"
    assert len(everything()) == len(before)


def test_some_refusals_end_with_5(world: mandates.Savings, op: str) -> None:
    other = mandates.issue(world).row.public_id
    operations("cancel", other, *WHY)
    ended = operations("hold", op, other, *WHY)
    assert ended.code == Exit.PARTIAL
    assert [row["status"] for row in ended.rows] == ["held", "cancelled"]


@pytest.mark.parametrize("missing", ["--reason", "--yes"])
def test_a_change_needs_its_reason_and_a_yes(missing: str, op: str) -> None:
    given = {"--reason": ["--yes"], "--yes": ["--reason", "why"]}[missing]
    before = everything()
    assert operations("cancel", op, *given).code == Exit.USAGE
    assert everything() == before


def test_a_person_keeps_the_hold_that_staff_may_not_lift(op: str) -> None:
    hold_operation(operation_id=OperationToken.objects.get().pk, by=HoldKind.USER)
    assert operations("resume", op, *WHY).code == Exit.REFUSED
    assert OperationToken.objects.get().holds == ["user"]


def test_only_who_says_so_lifts_what_a_declared_loss_holds(op: str) -> None:
    hold_operation(operation_id=OperationToken.objects.get().pk, by=HoldKind.SYSTEM)
    assert operations("resume", op, *WHY).code == Exit.REFUSED
    operations("hold", op, *WHY)
    assert operations("resume", op, "--after-loss", *WHY, "--dry-run").code == Exit.OK
    assert operations("resume", op, "--after-loss", *WHY).rows[0]["status"] == "held"
    assert OperationToken.objects.get().holds == ["staff"]
    assert operations("resume", op, "--after-loss", *WHY).code == Exit.REFUSED


def test_what_was_disowned_waits_for_its_new_signature(op: str) -> None:
    disown_operations(kid=OperationToken.objects.get().kid, reason="stolen")
    assert operations("resume", op, "--after-loss", *WHY).code == Exit.REFUSED


@pytest.fixture
def executor() -> Iterator[Executor]:
    with listening(Executor()) as fake:
        yield fake


@pytest.fixture
def due(executor: Executor) -> None:
    """Queue a run that is due now."""
    world = mandates.savings()
    ServiceClient.objects.filter(pk=world.redeemer.pk).update(delivery_url=executor.url)
    issued = mandates.issue(world)
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    QueuedRun.objects.update(next_attempt_at=issued.row.valid_from)


@pytest.mark.usefixtures("due")
def test_delivers_what_is_due(executor: Executor) -> None:
    assert len(operations("run_due", "--dry-run").rows) == 1
    assert not executor.deliveries
    ended = operations("run_due", "--threads", "1")
    assert (ended.code, ended.rows["done"], ended.rows["dead"]) == (Exit.OK, 1, 0)
    assert QueuedRun.objects.get().state == RunState.DONE
    assert operations("run_due", "--dry-run").rows == []


@pytest.mark.usefixtures("due")
def test_a_refused_delivery_ends_with_5(executor: Executor) -> None:
    executor.status, executor.body = 403, {"code": "operation_mismatch"}
    assert operations("run_due", "--threads", "1").code == Exit.PARTIAL


def test_each_verb_is_documented() -> None:
    assert all(verb.help.endswith(".") and verb.name for verb in VERBS)
    assert len({verb.name for verb in VERBS}) == len(VERBS)
