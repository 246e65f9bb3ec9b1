"""services.reissue by pages: fifty cost what five do, and a page is whole or not at all."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import OperationToken, QueuedRun
from batchtokens.services.digests import text_digest
from batchtokens.services.keys import reissue as module
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.queue import queue_anew
from tests import bulk, insiders, mandates
from tests.budgets import is_own
from tests.reissues import DAILY, check_ledger

pytestmark = pytest.mark.django_db(transaction=True)
sign_all = partial(reissue_operations, reason="all honest")


@pytest.fixture
def world() -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


def disowned(count: int) -> list[OperationToken]:
    """Issue so many queued mandates of three runs, whose key is found compromised."""
    line = bulk.line(constraints=mandates.constraints(**DAILY))
    assert {each.status for each in bulk.issue(*[line] * count, to=bulk.QUEUE)} == {"issued"}
    rows = list(OperationToken.objects.filter(disowned_at=None))
    retire_signing_key(kid=rows[0].kid, reason="found in a backup", compromised=True)
    return rows


def reads_and_writes(page: list[OperationToken]) -> int:
    """Sign a page anew; on SQLite, where each row is an UPDATE of its own, count the reads."""
    among = reissuable().filter(pk__in=[row.pk for row in page])
    with CaptureQueriesContext(connection) as captured:
        (done,) = sign_all(among=among)
    assert len(done.signed) == len(page)
    own = [sql for query in captured if is_own(sql := query["sql"])]
    return sum(connection.vendor == "postgresql" or sql.startswith("SELECT") for sql in own)


@pytest.mark.parametrize("kept", [True, False])
def test_fifty_cost_as_many_statements_as_five(world: mandates.Savings, kept: bool) -> None:
    rows = disowned(55)
    if not kept:  # as an earlier release has issued them
        OperationToken.objects.update(claims_sealed=None)

    assert reads_and_writes(rows[:5]) == reads_and_writes(rows[5:])
    check_ledger()


def test_a_crash_between_pages_leaves_whole_pages(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    rows = disowned(5)
    pages = sign_all(among=reissuable())
    first = next(pages)
    pages.close()

    assert reissuable().count() == 3
    rest = [each for page in sign_all(among=reissuable()) for each in page.signed]
    assert sorted([*first.signed, *rest]) == sorted(row.public_id for row in rows)
    check_ledger()


def test_a_crash_inside_a_page_leaves_nothing_of_it(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    disowned(3)
    before = list(OperationToken.objects.order_by("pk").values_list("jws_digest", "seq"))
    monkeypatch.setattr(module, "queue_anew", _crash)

    with pytest.raises(RuntimeError):
        list(sign_all(among=reissuable()))

    assert list(OperationToken.objects.order_by("pk").values_list("jws_digest", "seq")) == before
    assert reissuable().count() == 3
    check_ledger()


def _crash(*_: Any, **__: Any) -> None:
    raise RuntimeError("the process is gone")


@pytest.mark.parametrize("runs", [1, 4, 1000])
def test_every_run_gets_its_own_operations_token(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    monkeypatch.setattr(queue_anew, "RUNS", runs)
    rows = disowned(3)
    old = {bytes(run.sealed) for run in QueuedRun.objects.all()}

    list(sign_all(among=reissuable()))

    queued = list(QueuedRun.objects.select_related("operation_token"))
    assert len(queued) == len(old) > len(rows)
    assert old.isdisjoint(bytes(run.sealed) for run in queued)
    for run in queued:
        assert run.operation_token.bears(text_digest(insiders.open_job(run).operation_token))
