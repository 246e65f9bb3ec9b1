"""Under load, with a real worker, each receipt is proven in a signed tree within 10 s (I2)."""

import time
from collections import deque
from pathlib import Path

import pytest
from django.conf import settings

from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.errors import NotSealedYet
from batchtokens.models import Checkpoint
from batchtokens.services.ledger.prove import prove_redemption
from batchtokens.services.redemption.redeem import RedemptionAnswer
from batchtokens_verifier.checkpoints import verify_checkpoint, verify_entry_included
from batchtokens_verifier.ledger import entry_hash
from tests import ledgers, mandates
from tests.cluster import eventually
from tests.servers import manage, running
from tests.tokens import claims_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.slow]

LONGEST = 10.0  # seconds
LOAD_FOR = 8.0  # seconds


def is_proven(world: mandates.Savings, answer: RedemptionAnswer) -> bool:
    """Tell whether the entry that the receipt names is in a tree that the authority signed."""
    try:
        proofs = prove_redemption(by=world.redeemer, redemption_id=answer.redemption.pk)
    except NotSealedYet:
        return False
    proof = proofs[0]
    assert entry_hash(proof.entry) == claims_of(answer.attempt.receipt)["entry_hash"]
    keys = current_key_ring().verification_keys()
    head = verify_checkpoint(proof.checkpoint.token, keys=keys, issuer=settings.ISSUER_URL).head
    verify_entry_included(proof.entry.encode(), index=proof.index, proof=proof.proof, head=head)
    return True


def test_each_receipt_is_included_in_time(tmp_path: Path) -> None:
    ensure_signing_keys()
    world = mandates.savings()
    waiting: deque[tuple[RedemptionAnswer, float]] = deque()
    took: list[float] = []

    def look() -> None:
        """Prove the oldest receipts; the sealer may place later ones first."""
        while waiting and is_proven(world, waiting[0][0]):
            took.append(time.monotonic() - waiting.popleft()[1])
        assert not waiting or time.monotonic() - waiting[0][1] < LONGEST

    with running(manage("run_worker"), log=tmp_path / "worker.log"):
        eventually(Checkpoint.objects.exists)  # the worker starts; the keys' entries wait for it
        until = time.monotonic() + LOAD_FOR
        while time.monotonic() < until:
            issued = ledgers.issue_daily(world)
            for key in "abc":
                answer = mandates.redeem(world, issued, f"{issued.row.pk}-{key}")
                waiting.append((answer, time.monotonic()))
            look()
        while waiting:
            look()
            time.sleep(0.05)
    print(f"{len(took)} receipts, the slowest was proven after {max(took):.2f} s")
    assert len(took) > 10
