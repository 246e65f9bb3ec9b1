"""tokens.key_store: what is drawn for a new key."""

import pytest
from django.utils import timezone
from joserfc.jwk import ECKey

from accounts.tokens.key_store import key_store
from batchtokens_verifier.jws import Purpose


def test_no_key_id_reads_as_an_option_at_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = iter(lambda: ECKey.generate_key("P-256"), None)
    hyphened = next(pair for pair in pairs if pair.thumbprint().startswith("-"))
    other = next(pair for pair in pairs if not pair.thumbprint().startswith("-"))
    drawn = iter([hyphened, other])
    monkeypatch.setattr(ECKey, "generate_key", lambda *_: next(drawn))

    row = key_store.generate(purpose=Purpose.ACCESS, activates_at=timezone.now())

    assert row.kid == other.thumbprint()
