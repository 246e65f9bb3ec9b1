"""Caps that were set after the backup come back with the ledger: nobody gets more than they had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.models import ExecutorControl
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.export_ledger import export_ledger
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.recovery.restore_ledger import restore_ledger
from batchtokens.services.redemption.set_caps import Caps, caps_of, set_caps
from batchtokens_verifier.errors import ExecutorStopped
from tests import factories, mandates
from tests.copies import copied

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_last_caps_that_were_told_hold_again(settings: Any, tmp_path: Path) -> None:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    world = mandates.savings()
    other = factories.service_client("unlimited-again").client
    set_caps(executor=other, caps=Caps(max_minor_day=9, currency="EUR"), reason="test")
    first, second = mandates.issue(world), mandates.issue(world)
    Sealing().look()
    with copied(tmp_path) as put_back:
        set_caps(executor=world.redeemer, caps=Caps(max_count_day=7), reason="test")
        set_caps(executor=world.redeemer, caps=Caps(max_count_day=1), reason="test")
        set_caps(executor=other, caps=Caps(), reason="test")
        Sealing().look()
        export = list(export_ledger())
        put_back()
        forget_sink()
        forget_key_ring()

        restore_ledger(export, reason="the disk burned")

        assert caps_of(ExecutorControl.objects.get(executor=other)) == Caps()
        mandates.redeem(world, first, "1")
        with pytest.raises(ExecutorStopped):
            mandates.redeem(world, second, "2")
        assert [findings for _, findings in verify_ledger() if findings] == []
