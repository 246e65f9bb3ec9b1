"""Bulk issue: a line gets what it would get alone, and nothing that it would not get alone."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import SecurityEvent
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.backend import verify_token
from batchtokens.models import (
    Consent,
    LedgerEntry,
    OperationToken,
    OperationType,
    QueuedRun,
)
from batchtokens.services.issuing import issue_in_bulk as service
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.issuing.issue_in_bulk import BulkOutcome, Destination
from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens.services.redemption.reserve import RedemptionAnswer, RedemptionRequest
from batchtokens.services.status.status_places import Place, take_places
from batchtokens_verifier.claims import parse_operation_token
from batchtokens_verifier.jws import Purpose
from tests import bulk, factories, mandates
from tests.budgets import is_own

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def stored() -> tuple[int, ...]:
    """Count everything that an issue stores."""
    entries, spent = LedgerEntry.objects.of_operations(), Consent.objects.exclude(spent_at=None)
    rows = (OperationToken.objects, QueuedRun.objects, entries, spent)
    return tuple(each.count() for each in rows)


def issued_of(outcome: BulkOutcome) -> Issued:
    return Issued(outcome.token, row_of(outcome))


def row_of(outcome: BulkOutcome) -> OperationToken:
    return OperationToken.objects.get(pk=outcome.id.removeprefix("op_"))


def test_signs_what_a_single_issue_signs(world: mandates.Savings) -> None:
    limits = mandates.constraints(valid_from=mandates.in_days(0))
    single = mandates.issue(world, **limits)
    (outcome,) = bulk.issue(bulk.line(constraints=limits))

    mine, theirs = (
        verify_token(token, purpose=Purpose.OPERATION) for token in (outcome.token, single.token)
    )
    own = {"iat", "nbf", "jti", "txn", "status", "authorization_details"}
    assert {k: mine[k] for k in mine.keys() - own} == {k: theirs[k] for k in theirs.keys() - own}
    assert parse_operation_token(mine).operation == mandates.OPERATION
    details = [claims["authorization_details"][0] for claims in (mine, theirs)]
    for each in details:
        del each["identifier"]
    assert details[0] == details[1]


def test_the_ledger_begins_as_with_a_single_issue_and_says_who_decided(
    world: mandates.Savings,
) -> None:
    single = mandates.issue(world)
    (outcome,) = bulk.issue(bulk.line())
    mine, theirs = (
        json.loads(LedgerEntry.objects.get(operation_token=row).entry)["data"]
        for row in (row_of(outcome), single.row)
    )
    assert mine.keys() == theirs.keys() | {"by"}
    assert mine["by"] == "operator"


def test_its_token_is_redeemed_alone_and_in_a_batch(world: mandates.Savings) -> None:
    alone, batched = bulk.issue(bulk.line(), bulk.line())
    assert mandates.redeem(world, issued_of(alone)).proceed
    request = RedemptionRequest(batched.token, mandates.OPERATION, None, None)
    (answer,) = redeem_batch(by=world.redeemer, lines=[Line("key-2", request)])
    assert isinstance(answer, RedemptionAnswer)
    assert answer.proceed


def test_spends_the_consent_to_exactly_this(world: mandates.Savings) -> None:
    exact_world = world.kind
    exact_world.consent = "exact"
    exact_world.save()
    limits = mandates.constraints()
    consent = mandates.consent(world, **limits)
    line = bulk.line(constraints=limits, consent_id=consent.public_id)

    assert bulk.codes(bulk.issue(line, line)) == ["issued", "consent_not_valid"]
    consent.refresh_from_db()
    assert consent.spent_at is not None
    row = OperationToken.objects.get()
    assert (row.consent, row.summary) == (consent, consent.summary)
    assert bulk.codes(bulk.issue(line)) == ["consent_not_valid"]


@pytest.fixture
def exact() -> mandates.Savings:
    return mandates.exact()


def test_an_exact_type_needs_the_persons_own_confirmed_consent(exact: mandates.Savings) -> None:
    factories.bob()
    limits = mandates.constraints()
    own = mandates.consent(exact, **limits)
    unconfirmed = mandates.consent(exact, confirmed=False, **limits)
    lines = [
        bulk.line(constraints=limits),
        bulk.line(constraints=limits, consent_id=own.public_id, user="bob"),
        bulk.line(constraints=limits, consent_id=unconfirmed.public_id),
        bulk.line(constraints=limits, consent_id=own.public_id, client=None),
        bulk.line(constraints=limits, consent_id="cns_\u0660"),
        bulk.line(
            constraints=limits,
            consent_id=own.public_id,
            operation={**mandates.OPERATION, "creditor_account": "sav-6666"},
        ),
    ]
    before = stored()
    assert bulk.codes(bulk.issue(*lines)) == [
        "consent_required",
        *["consent_not_valid"] * 4,
        "consent_mismatch",
    ]
    assert stored() == before


def test_one_file_cannot_pass_a_persons_cap() -> None:
    mandates.savings(max_live_mandates=2)
    factories.bob()
    lines = [bulk.line(), bulk.line(), bulk.line(), bulk.line(user="bob")]
    refused = "mandate_limit_reached"
    assert bulk.codes(bulk.issue(*lines)) == ["issued", "issued", refused, "issued"]
    assert bulk.codes(bulk.issue(bulk.line())) == [refused]


def test_one_file_cannot_pass_a_persons_total() -> None:
    mandates.savings(max_total={"amount": "150.00", "currency": "USD"})
    limits = mandates.constraints(max_total={"amount": "100.00", "currency": "USD"})
    lines = [bulk.line(constraints=limits), bulk.line(constraints=limits), bulk.line()]
    refused = "mandate_limit_reached"
    assert bulk.codes(bulk.issue(*lines)) == ["issued", refused, refused]


def test_who_may_not_is_refused_by_name_or_id(world: mandates.Savings) -> None:
    gone = factories.user("gone", is_active=False)
    idle = factories.service_client("idle", scopes=["token_exchange"])
    world.kind.trigger_clients.add(idle.client)
    idle.client.is_active = False
    idle.client.save()
    factories.service_client("other", scopes=["token_exchange"])
    lines = [
        bulk.line(user="gone"),
        bulk.line(user=gone.public_id),
        bulk.line(user="nobody"),
        bulk.line(user="usr_" + "0" * 32),
        *[bulk.line(client=name) for name in ("idle", "other", "savings", "nobody")],
    ]
    before = stored()
    assert bulk.codes(bulk.issue(*lines)) == [
        *["person_not_valid"] * 4,
        *["trigger_not_allowed"] * 4,
    ]
    assert stored() == before


def test_a_type_that_is_switched_off_issues_nothing(world: mandates.Savings) -> None:
    OperationType.objects.update(is_active=False)
    assert (
        bulk.codes(bulk.issue(bulk.line(), bulk.line(type="no.such")))
        == ["operation_type_unknown"] * 2
    )
    assert not any(stored())


def test_a_type_that_wants_a_fresh_sign_in_is_not_for_files(world: mandates.Savings) -> None:
    OperationType.objects.update(max_authentication_age=300)
    (code,) = bulk.codes(bulk.issue(bulk.line()))
    assert code == "insufficient_user_authentication"


def test_a_reference_issues_once(world: mandates.Savings) -> None:
    lines = [bulk.line(reference="a"), bulk.line(reference="b"), bulk.line(reference="a")]
    first = bulk.issue(*lines)
    assert bulk.codes(first) == ["issued", "issued", "repeated"]
    OperationType.objects.update(is_active=False)

    again = bulk.issue(*lines)

    assert bulk.codes(again) == ["repeated"] * 3
    assert [each.id for each in again] == [each.id for each in first]
    assert [each.token for each in again] == [each.token for each in first]
    assert first[0].id == first[2].id
    assert OperationToken.objects.count() == 2


def test_a_reference_of_another_line_is_refused(world: mandates.Savings) -> None:
    other = {**mandates.OPERATION, "creditor_account": "sav-6666"}
    lines = [bulk.line(reference="a"), bulk.line(reference="a", operation=other)]
    assert bulk.codes(bulk.issue(*lines)) == ["issued", "idempotency_mismatch"]
    assert bulk.codes(bulk.issue(lines[1])) == ["idempotency_mismatch"]
    assert OperationToken.objects.count() == 1


def test_a_dry_run_says_the_same_and_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mandates.savings(max_live_mandates=2)
    monkeypatch.setattr(service, "CHUNK", 1)
    lines = [bulk.line(reference="a"), bulk.line(reference="a"), bulk.line(), bulk.line()]
    outcomes = bulk.issue(*lines, to=Destination(dry_run=True))
    assert bulk.codes(outcomes) == ["issued", "repeated", "issued", "mandate_limit_reached"]
    assert not any(stored())
    assert not SecurityEvent.objects.filter(code="operations_issued_in_bulk").exists()
    assert bulk.codes(bulk.issue(*lines)) == bulk.codes(outcomes)


def test_one_event_tells_of_the_file(world: mandates.Savings) -> None:
    bulk.issue(bulk.line(reference="a"), bulk.line(reference="a"), b"{}")
    event = SecurityEvent.objects.get(code="operations_issued_in_bulk")
    assert event.data == {"file": "digest", "issued": 1, "repeated": 1, "refused": 1}


def statements(*lines: Any) -> int:
    ensure_signing_keys()
    with CaptureQueriesContext(connection) as captured:
        bulk.issue(*lines)
    return sum(is_own(query["sql"]) for query in captured)


def test_a_chunk_takes_as_many_statements_whatever_its_size() -> None:
    mandates.savings(max_live_mandates=10_000)
    bulk.issue(bulk.line())  # the executor's list begins
    lines = [bulk.line(reference=f"r{number}") for number in range(300)]
    few, many = statements(*lines[:2]), statements(*lines[2:])
    assert many == few <= 12


def test_garbage_is_collected_again_after_a_chunk_also_one_that_failed(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def fail(*_: Any, **__: Any) -> None:
        seen.append(gc.isenabled())
        raise RuntimeError

    monkeypatch.setattr(service, "take_places", fail)
    with pytest.raises(RuntimeError):
        bulk.issue(bulk.line())

    assert [*seen, gc.isenabled()] == [False, True]


def test_a_clash_of_places_draws_again(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk.issue(bulk.line())
    taken = OperationToken.objects.get()
    real, asked = take_places, []

    def clashing(*given: Any, **how: Any) -> Any:
        places = real(*given, **how)
        asked.append(len(places))
        if len(asked) == 1:
            assert taken.status_list_id
            assert taken.status_index is not None
            places[0] = Place(taken.status_list_id, taken.status_index)
        return places

    monkeypatch.setattr(service, "take_places", clashing)
    assert bulk.codes(bulk.issue(bulk.line(), bulk.line())) == ["issued", "issued"]
    assert asked == [2, 2]
    assert stored() == (3, 0, 3, 0)
