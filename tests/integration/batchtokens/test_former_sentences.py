"""A sentence is kept as it was shown: one that an earlier release composed verifies for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.errors import ConsentMismatch
from batchtokens.models import Consent, OperationToken
from batchtokens.services.consent.draft_operation import Draft
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.reports.collect_evidence import collect_evidence
from batchtokens_verifier.evidence import verify_evidence
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> mandates.Savings:
    settings.LEDGER_SINK = tmp_path / "checkpoints"
    ensure_signing_keys()
    return mandates.exact()


def without_parties(self: Draft, *, client_id: str) -> str:
    """Compose the sentence as it was before it named who gets the token."""
    return self.summary


def test_what_was_bought_by_a_shorter_sentence_verifies(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(Draft, "words", without_parties)
        issued = mandates.issue(world)
    Sealing().look()

    assert [found for _, page in verify_ledger() for found in page] == []
    pack = collect_evidence(issued.row)
    assert verify_evidence(pack).entries == 1
    assert "arried out by" not in pack["consent"]["summary"]
    version = Consent.objects.get().template_version
    assert version == pack["consent"]["template_version"] == world.kind.version


def test_what_was_shown_in_a_shorter_sentence_is_asked_for_again(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who confirmed without having been told who carries it out has not agreed to that."""
    limits: dict[str, Any] = {"valid_to": mandates.in_days(30)}
    with monkeypatch.context() as earlier:
        earlier.setattr(Draft, "words", without_parties)
        consent = mandates.consent(world, **limits)

    with pytest.raises(ConsentMismatch):
        mandates.issue(world, consent_id=consent.public_id, **limits)

    assert not OperationToken.objects.exists()
