"""`/oauth/ledger/*`: anybody checks heads, the parties of a redemption its place in the tree."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import Checkpoint, LedgerLeaf, LedgerNode
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.redemption.redeem import RedemptionAnswer
from batchtokens.services.redemption.settle import Closing, settle_redemption
from batchtokens_verifier.checkpoints import (
    VerifiedCheckpoint,
    verify_checkpoint,
    verify_entry_included,
    verify_heads_consistent,
)
from batchtokens_verifier.ledger import entry_hash
from tests import factories, ledgers, mandates
from tests.factories import basic
from tests.guards import as_insider
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db

CHECKPOINT = "/oauth/ledger/checkpoint"
CONSISTENCY = "/oauth/ledger/consistency"


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> mandates.Savings:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def redeemed(world: mandates.Savings) -> RedemptionAnswer:
    return mandates.redeem(world, ledgers.issue_daily(world))


def verified(token: str) -> VerifiedCheckpoint:
    keys = current_key_ring().verification_keys()
    return verify_checkpoint(token, keys=keys, issuer=django_settings.ISSUER_URL)


def ask(answer: RedemptionAnswer, by: NewServiceClient | None) -> Any:
    headers = basic(by.client, by.secret) if by else {}
    return Client().get(f"/oauth/ledger/proof/{answer.redemption.pk}", headers=headers)


def test_the_newest_head_is_there_for_everybody(redeemed: RedemptionAnswer) -> None:
    Sealing().look()

    answer = Client().get(CHECKPOINT)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/jwt")
    head = verified(answer.content.decode()).head
    assert head.size == Checkpoint.objects.latest("size").size
    again = Client().get(CHECKPOINT, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    of_size = Client().get(CHECKPOINT, {"size": head.size})
    assert of_size.content == answer.content


def test_heads_are_consistent(world: mandates.Savings) -> None:
    sealing, heads = Sealing(), []
    for _ in range(3):
        ledgers.issue_daily(world)
        sealing.look()
        heads.append(verified(Client().get(CHECKPOINT).content.decode()).head)

    for first in heads:
        sizes: dict[str, int] = {"first": first.size, "second": heads[-1].size}
        body = Client().get(CONSISTENCY, sizes).json()
        verify_heads_consistent(first, heads[-1], proof=body["proof"])


@pytest.mark.parametrize("party", ["executor", "trigger"])
def test_a_receipt_is_proved_to_its_parties(
    world: mandates.Savings, redeemed: RedemptionAnswer, party: str
) -> None:
    settle_redemption(by=world.redeemer, closing=Closing(redeemed.redemption.pk, 1))
    Sealing().look()

    answer = ask(redeemed, getattr(world, party))

    assert answer.status_code == 200
    reserved, settled = answer.json()["proofs"]
    assert entry_hash(reserved["entry"]) == claims_of(redeemed.attempt.receipt)["entry_hash"]
    for told in (reserved, settled):
        head = verified(told["checkpoint"]).head
        place, proof = told["leaf_index"], told["proof"]
        verify_entry_included(told["entry"].encode(), index=place, proof=proof, head=head)


def test_before_it_is_sealed_it_says_so(world: mandates.Savings, redeemed: Any) -> None:
    answer = ask(redeemed, world.executor)

    assert (answer.status_code, answer.json()["error"]) == (404, "not_sealed_yet")
    assert answer["Retry-After"]


def test_others_learn_nothing(world: mandates.Savings, redeemed: RedemptionAnswer) -> None:
    Sealing().look()
    charlie = factories.service_client("charlie", scopes=["redeem"], audience="https://c.example/")
    known = ask(redeemed, charlie)
    redeemed.redemption.pk = "rdm_unknown"
    unknown = ask(redeemed, charlie)

    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert known.status_code == 404
    assert ask(redeemed, None).status_code == 401


@pytest.mark.parametrize("size", ["", "-1", "x", "1e3", "9" * 30, "٣"])
def test_a_size_is_a_number(size: str) -> None:
    assert Client().get(CHECKPOINT, {"size": size}).status_code == 400
    assert Client().get(CONSISTENCY, {"first": size, "second": "3"}).status_code == 400


@pytest.mark.parametrize(("first", "second", "status"), [(0, 1, 400), (2, 1, 400), (1, 999, 404)])
def test_sizes_are_those_of_heads(first: int, second: int, status: int) -> None:
    answer = Client().get(CONSISTENCY, {"first": first, "second": second})
    assert answer.status_code == status


def test_without_a_head_there_is_none() -> None:
    assert Client().get(CHECKPOINT).status_code == 404


def test_a_restored_database_answers_ledger_behind(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    issued = mandates.issue(world)
    Sealing().look()
    with as_insider():
        Checkpoint.objects.all().delete()
        LedgerNode.objects.all().delete()
        LedgerLeaf.objects.all().delete()
    forget_sink()  # a process looks each second
    headers = {**basic(world.redeemer, world.executor.secret), "Idempotency-Key": "k"}
    answer = Client().post(
        "/api/v1/redemptions",
        {"operation_token": issued.token, "operation": mandates.OPERATION},
        content_type="application/json",
        headers=headers,
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_behind")
    assert answer["Retry-After"]
