"""A checkpoint key that is rotated, retired or found out stops nothing and forgets nothing (I2)."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import current_key_ring
from batchtokens.errors import LedgerBehind
from batchtokens.models import Checkpoint, LedgerEntry, LedgerLeaf, LedgerNode
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.export_ledger import export_ledger
from batchtokens.services.ledger.prove import find_checkpoint, prove_consistency
from batchtokens.services.ledger.reconcile_ledger import accept_loss
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.sink import newest_checkpoint
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens_verifier.checkpoints import verify_checkpoint, verify_heads_consistent
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.exports import verify_export
from batchtokens_verifier.jws import unverified_kid
from tests import ledgers, mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> mandates.Savings:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def stolen(world: mandates.Savings) -> Checkpoint:
    """The last head under a checkpoint key that is then found out."""
    ledgers.issue_daily(world)
    Sealing().look()
    end_key(compromised=True)
    return Checkpoint.objects.latest("size")


def end_key(*, compromised: bool) -> None:
    key = SigningKey.objects.get(purpose="checkpoint")
    retire_signing_key(kid=key.kid, reason="found in a backup", compromised=compromised)
    forget_sink()


def findings() -> list[Any]:
    return [f for _, page in [*verify_ledger(), *verify_tree(whole_sink=True)] for f in page]


def test_redeeming_and_sealing_go_on(world: mandates.Savings, stolen: Checkpoint) -> None:
    assert mandates.redeem(world, ledgers.issue_daily(world), "before the next head").proceed

    head = Sealing().look().head

    newest = newest_checkpoint()
    assert newest is not None
    assert newest.head == head
    assert newest.head.size > stolen.size
    assert unverified_kid(newest.token) != unverified_kid(stolen.token)
    forget_sink()
    assert mandates.redeem(world, ledgers.issue_daily(world), "after").proceed
    assert findings() == []


def test_a_running_sealer_goes_on(world: mandates.Savings) -> None:
    ledgers.issue_daily(world)
    sealing = Sealing()
    first = sealing.look().head
    end_key(compromised=True)

    head = sealing.look().head  # the key's own entry

    assert first is not None
    assert head is not None
    assert head.size > first.size


def test_its_heads_still_bind_the_database(world: mandates.Savings, stolen: Checkpoint) -> None:
    """Whoever has the key cannot make the authority forget what it signed."""
    issued = ledgers.issue_daily(world)
    with as_insider():
        LedgerLeaf.objects.filter(index__gte=stolen.size - 1).delete()
        LedgerNode.objects.all().delete()
        Checkpoint.objects.all().delete()

    with pytest.raises(LedgerBehind):
        mandates.redeem(world, issued)
    with pytest.raises(LedgerBehind):
        Sealing().look()


def test_a_loss_can_be_declared_under_it(world: mandates.Savings, stolen: Checkpoint) -> None:
    with as_insider():
        LedgerLeaf.objects.all().delete()
        LedgerNode.objects.all().delete()
        Checkpoint.objects.all().delete()
        LedgerEntry.objects.filter(operation_token=None, seq__gt=2).delete()

    assert accept_loss(reason="the disk burned").lost.size == stolen.size


def test_clients_believe_it_no_more_and_keep_what_they_had(
    world: mandates.Savings, stolen: Checkpoint, settings: Any
) -> None:
    kept = newest_checkpoint()
    Sealing().look()
    keys = current_key_ring().verification_keys()

    with pytest.raises(TokenNotValid):
        verify_checkpoint(stolen.token, keys=keys, issuer=settings.ISSUER_URL)
    newest = verify_checkpoint(find_checkpoint().token, keys=keys, issuer=settings.ISSUER_URL)
    proof = prove_consistency(first=stolen.size, second=newest.head.size)
    assert kept is not None
    verify_heads_consistent(kept.head, newest.head, proof=proof)


def test_an_export_brings_only_heads_that_can_be_verified(
    world: mandates.Savings, stolen: Checkpoint
) -> None:
    Sealing().look()

    report = verify_export(export_ledger())

    assert report.findings == []
    assert report.head is not None
    assert report.head.size > stolen.size


def test_a_head_of_it_that_was_never_ours_is_named(
    world: mandates.Savings, stolen: Checkpoint
) -> None:
    """An anchor from outside under the found-out key is compared, not refused."""
    assert [f for _, page in verify_tree(tokens=[stolen.token]) for f in page] == []
    with as_insider():
        Checkpoint.objects.filter(pk=stolen.pk).update(root="A" * 43)
    assert [f.seq for _, page in verify_tree() for f in page] == [stolen.size]


@pytest.mark.parametrize("compromised", [False, True])
def test_one_that_was_never_used_ends_quietly(world: mandates.Savings, compromised: bool) -> None:
    end_key(compromised=compromised)

    assert Sealing().look().head
    assert findings() == []
