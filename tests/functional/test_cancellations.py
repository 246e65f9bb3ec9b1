"""A cancel is confirmed by a signed statement: the same bytes each time, and no receipt."""

from datetime import timedelta

import pytest
from django.conf import settings

from accounts.services.rotate_signing_keys import rotate_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import HoldKind, LedgerEntry, OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.mandates.revoke import cancel_operation, cancel_operations
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.receipts import Cancellation, verify_cancellation, verify_receipt
from tests import factories, mandates, rest
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def read(confirmation: str, *, audience: str = "trigger") -> Cancellation:
    keys = current_key_ring().verification_keys()
    return verify_cancellation(
        confirmation, keys=keys, issuer=settings.ISSUER_URL, audience=audience
    )


def path(issued: Issued) -> str:
    return f"{rest.OPERATIONS}/{issued.row.public_id}"


def test_a_cancel_answers_with_a_confirmation_of_its_entry(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    owner = rest.person(world.alice)
    assert owner.get(path(issued)).json()["cancellation"] is None

    confirmation = owner.post(f"{path(issued)}/cancel").json()["cancellation"]

    said = read(confirmation)
    entry = LedgerEntry.objects.get(kind="cancelled")
    assert (said.operation_id, said.by) == (issued.row.public_id, "user")
    assert (said.token, said.seq, said.entry_hash) == (issued.row.token_hash, 2, entry.hash)
    assert said.cancelled_at == OperationToken.objects.get().cancelled_at
    assert header_of(confirmation)["typ"] == "receipt+jwt"
    assert world.alice.public_id not in str(claims_of(confirmation))
    assert list(verify_ledger()) == [(1, [])]


def test_who_asks_again_gets_the_same_bytes_whatever_key_signs_by_then(
    world: mandates.Savings,
) -> None:
    issued = mandates.issue(world)
    owner, trigger = rest.person(world.alice), rest.machine(world.trigger)
    first = owner.post(f"{path(issued)}/cancel").json()["cancellation"]
    rotate_signing_keys(overlap=timedelta(0))
    assert owner.get(path(issued)).json()["cancellation"] == first
    assert trigger.get(path(issued)).json()["cancellation"] == first
    assert rest.code_of(owner.post(f"{path(issued)}/cancel")) == (409, "operation_final")


def test_a_strangers_question_is_not_answered(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    stranger = rest.person(factories.bob())
    assert rest.code_of(stranger.get(path(issued))) == (404, "not_found")


def test_many_are_confirmed_as_one_is(world: mandates.Savings) -> None:
    issued = [mandates.issue(world) for _ in range(3)]
    assert sum(cancel_operations(OperationToken.objects.all(), by=HoldKind.STAFF)) == 3
    rows = OperationToken.objects.filter(pk__in=[each.row.pk for each in issued])
    said = [read(row.cancellation or "") for row in rows]
    assert {each.by for each in said} == {"staff"}
    assert {each.token for each in said} == {each.row.token_hash for each in issued}


def test_it_is_no_receipt_and_a_receipt_is_none(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    receipt = mandates.redeem(world, issued).attempt.receipt
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    confirmation = OperationToken.objects.get().cancellation or ""
    keys = current_key_ring().verification_keys()
    with pytest.raises(TokenNotValid):
        verify_receipt(confirmation, keys=keys, issuer=settings.ISSUER_URL, audience="trigger")
    with pytest.raises(TokenNotValid):
        read(receipt, audience="savings")
    with pytest.raises(TokenNotValid):
        read(confirmation, audience="savings")
    with pytest.raises(TokenNotValid):
        read(confirmation[:-8] + "AAAAAAAA")
