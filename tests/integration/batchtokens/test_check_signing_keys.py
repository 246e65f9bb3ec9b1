"""services.check_signing_keys: a key that was put back shows, although its seal opens."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from accounts.management.base import Findings
from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.keyring import load_key_ring
from batchtokens.services.keys.check_signing_keys import find_revived_keys
from batchtokens_verifier.jws import Purpose

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("compromised", [False, True])
def test_finds_a_former_row(compromised: bool) -> None:
    ensure_signing_keys()
    former = SigningKey.objects.get(purpose=Purpose.OPERATION)
    retire_signing_key(kid=former.kid, reason="drill", compromised=compromised)
    assert list(find_revived_keys()) == []

    former.save()

    assert load_key_ring().has(former.kid)  # the seal opens: it is a row of ours
    assert list(find_revived_keys()) == [former.kid]


def test_doctor_tells_of_rows_that_count_wrongly_or_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ensure_signing_keys()
    former = SigningKey.objects.get(purpose=Purpose.OPERATION)
    retire_signing_key(kid=former.kid, reason="drill")
    former.save()
    SigningKey.objects.filter(purpose=Purpose.ACCESS).update(alg="EdDSA")

    with pytest.raises(Findings):
        call_command("doctor", "--format", "json")

    found = [row["finding"] for row in json.loads(capsys.readouterr().out)]
    assert sum(former.kid in finding for finding in found) == 1
    assert sum("does not open" in finding for finding in found) == 1
