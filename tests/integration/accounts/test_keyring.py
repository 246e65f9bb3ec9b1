"""tokens.keyring: several keys a purpose, upcoming, active and retired."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from accounts.crypto import seal
from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.services.verify_access_token import verify_access_token
from accounts.tokens import keyring
from accounts.tokens.backend import sign
from accounts.tokens.errors import NoSigningKey
from accounts.tokens.key_store import key_store
from accounts.tokens.keyring import COOL_DOWN, current_key_ring, forget_key_ring, load_key_ring
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import Purpose
from tests import factories
from tests.tokens import header_of

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MEMBERS = {"kty", "crv", "x", "y", "kid", "alg", "use", "purpose"}


def kids(purpose: Purpose, *, at: timedelta = timedelta(0)) -> list[str]:
    ring = load_key_ring(now=timezone.now() + at)
    return [key["kid"] for key in ring.jwks()["keys"] if key["purpose"] == purpose.value]


def test_makes_one_key_a_purpose_once() -> None:
    assert len(ensure_signing_keys()) == len(Purpose)
    assert ensure_signing_keys() == []


def test_publishes_public_members_alone() -> None:
    ensure_signing_keys()

    for key in current_key_ring().jwks()["keys"]:
        assert key.keys() == MEMBERS
        assert (key["alg"], key["use"]) == ("ES256", "sig")


def test_names_a_key_by_its_thumbprint() -> None:
    ensure_signing_keys()

    for key in current_key_ring().jwks()["keys"]:
        assert key["kid"] == ECKey.import_key(key).thumbprint()


def test_publishes_an_upcoming_key_and_signs_with_the_old_one() -> None:
    (old,) = (k for k in ensure_signing_keys() if k.purpose == Purpose.ACCESS)
    (new,) = rotate_signing_keys(overlap=HOUR, purposes=[Purpose.ACCESS])
    ring, now = current_key_ring(), timezone.now()

    assert kids(Purpose.ACCESS) == [old.kid, new.kid]
    assert ring.signing_key(Purpose.ACCESS, new.activates_at - HOUR / 60).kid == old.kid
    assert ring.signing_key(Purpose.ACCESS, new.activates_at).kid == new.kid
    assert ring.signing_key(Purpose.REFRESH, now).kid not in {old.kid, new.kid}


@pytest.mark.parametrize(
    ("purpose", "life"),
    [
        (Purpose.ACCESS, timedelta(minutes=15)),
        (Purpose.REFRESH, timedelta(days=30)),
        (Purpose.OPERATION, timedelta(days=366)),
    ],
)
def test_publishes_a_retired_key_while_its_tokens_live(purpose: Purpose, life: timedelta) -> None:
    ensure_signing_keys()
    rotate_signing_keys(overlap=timedelta(0), purposes=[purpose])

    assert len(kids(purpose, at=life - HOUR / 60)) == 2
    assert len(kids(purpose, at=life + HOUR / 60)) == 1


def test_publishes_the_keys_of_evidence_for_ever() -> None:
    ensure_signing_keys()
    rotate_signing_keys(overlap=timedelta(0))

    assert len(kids(Purpose.RECEIPT, at=timedelta(days=5000))) == 2


def test_verifies_old_and_new_tokens_during_a_rotation() -> None:
    alice = factories.alice()
    old = factories.access_token_for(alice)
    rotate_signing_keys(overlap=timedelta(0))
    new = factories.access_token_for(alice)

    assert header_of(old)["kid"] != header_of(new)["kid"]
    assert verify_access_token(old).subject == verify_access_token(new).subject == alice


def test_suits_other_verifiers_during_a_rotation() -> None:
    alice = factories.alice()
    tokens = [factories.access_token_for(alice)]
    rotate_signing_keys(overlap=timedelta(0))
    tokens.append(factories.access_token_for(alice))
    jwks: Any = current_key_ring().jwks()
    key_set = KeySet.import_key_set(jwks)

    for token in tokens:
        jws.deserialize_compact(token, key_set, algorithms=["ES256"])
        key = jwt.PyJWKSet.from_dict(jwks)[header_of(token)["kid"]]
        jwt.decode(token, key, algorithms=["ES256"], audience="http://127.0.0.1:8000")


def test_signs_nothing_without_a_key() -> None:
    with pytest.raises(NoSigningKey):
        sign({}, purpose=Purpose.ACCESS)


def test_leaves_the_callers_claims_alone() -> None:
    ensure_signing_keys()
    claims = {"sub": "alice"}

    sign(claims, purpose=Purpose.ACCESS)

    assert claims == {"sub": "alice"}


@pytest.mark.parametrize(
    ("change", "report"),
    [
        ({"kid": "another"}, "does not open"),
        ({"purpose": "refresh"}, "does not open"),
        ({"alg": "EdDSA"}, "does not open"),
        ({"activates_at": LONG_AGO}, "does not open"),
        ({"retired_at": LONG_AGO}, "does not open"),
        ({"compromised_at": LONG_AGO}, "does not open"),
        ({"private_sealed": b"\x01" * 64}, "does not open"),
        ({"public_jwk": ECKey.generate_key("P-256").as_dict(private=False)}, "another key's"),
        ({"public_jwk": {}}, "another key's"),
    ],
)
def test_ignores_a_row_that_was_edited(
    change: dict[str, object], report: str, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_signing_keys()
    SigningKey.objects.filter(purpose=Purpose.REFRESH).delete()
    SigningKey.objects.filter(purpose=Purpose.ACCESS).update(**change)

    with caplog.at_level(logging.CRITICAL):
        ring = load_key_ring()

    assert report in caplog.text
    assert len(ring.jwks()["keys"]) == len(Purpose) - 2
    with pytest.raises(NoSigningKey):
        ring.signing_key(Purpose.ACCESS, timezone.now())


@pytest.mark.parametrize("mark", ["retired_at", "compromised_at"])
def test_ignores_a_row_whose_end_was_taken_back(mark: str) -> None:
    ensure_signing_keys()
    kid = kids(Purpose.ACCESS)[0]
    retire_signing_key(kid=kid, reason="drill", compromised=mark == "compromised_at")

    SigningKey.objects.filter(kid=kid).update(**{mark: None})

    assert kid not in kids(Purpose.ACCESS)


def test_ignores_a_row_of_another_installation(settings: Any) -> None:
    ours = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [b"another installation's own key.."]
    foreign = key_store.generate(purpose=Purpose.ACCESS, activates_at=timezone.now())
    settings.FIELD_ENCRYPTION_KEYS = ours
    foreign.save()

    assert kids(Purpose.ACCESS) == []


def test_ignores_a_seal_that_belongs_to_another_row() -> None:
    ensure_signing_keys()
    receipt = SigningKey.objects.get(purpose=Purpose.RECEIPT)

    SigningKey.objects.filter(purpose=Purpose.ACCESS).update(
        private_sealed=receipt.private_sealed, public_jwk=receipt.public_jwk
    )

    assert kids(Purpose.ACCESS) == []


def later_release(purpose: str, private: object) -> SigningKey:
    """A row that this release cannot have made, but whose seal opens."""
    key = SigningKey(kid="later", purpose=purpose, public_jwk={}, activates_at=timezone.now())
    key.private_sealed = seal(json.dumps(private).encode(), context=key.seal_context())
    key.save()
    return key


@pytest.mark.parametrize(
    ("purpose", "private"),
    [
        ("pairwise", ECKey.generate_key("P-256").as_dict(private=True)),
        ("access", {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "priv": "AA"}),
        ("access", {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}),
        ("access", None),
    ],
)
def test_ignores_a_key_of_a_later_release(
    purpose: str, private: object, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_signing_keys()
    later_release(purpose, private)

    with caplog.at_level(logging.CRITICAL):
        ring = load_key_ring()

    assert len(ring.jwks()["keys"]) == len(Purpose)
    assert "unknown kind" in caplog.text


def test_ignores_a_retired_key_that_was_made_active_again() -> None:
    ensure_signing_keys()
    rotate_signing_keys(overlap=timedelta(0))
    oldest = SigningKey.objects.filter(purpose=Purpose.ACCESS).order_by("id")[0]
    SigningKey.objects.filter(pk=oldest.pk).update(activates_at=timezone.now() + HOUR)

    assert oldest.kid not in kids(Purpose.ACCESS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the key ring's shelf, to be moved by hand."""
    now = [1000.0]
    monkeypatch.setattr("accounts.tokens.keyring.time.monotonic", lambda: now[0])
    return now


def loads(calls: int, *, wanted: str = "") -> int:
    with CaptureQueriesContext(connection) as captured:
        for _ in range(calls):
            current_key_ring(wanted=wanted)
    return len(captured)


def test_reads_the_keys_once_in_a_while(clock: list[float]) -> None:
    ensure_signing_keys()

    assert loads(3) == 1
    clock[0] += 59
    assert loads(3) == 0
    clock[0] += 1
    assert loads(3) == 1


def test_looks_again_for_a_missing_key_after_the_cool_down(clock: list[float]) -> None:
    ensure_signing_keys()
    current_key_ring()

    assert loads(3, wanted="unknown") == 0
    clock[0] += COOL_DOWN
    assert loads(3, wanted="unknown") == 1


def test_signs_once_another_process_has_made_the_keys(clock: list[float]) -> None:
    empty = current_key_ring()
    ensure_signing_keys()
    keyring._shelf._loaded = keyring._Loaded(empty, clock[0])
    clock[0] += COOL_DOWN

    assert sign({}, purpose=Purpose.ACCESS).kid in kids(Purpose.ACCESS)


def test_finds_the_key_that_another_process_made(clock: list[float]) -> None:
    alice = factories.alice()
    factories.access_token_for(alice)
    stale = current_key_ring()
    rotate_signing_keys(overlap=timedelta(0))
    token = factories.access_token_for(alice)
    keyring._shelf._loaded = keyring._Loaded(stale, clock[0])

    with pytest.raises(TokenNotValid):
        verify_access_token(token)
    clock[0] += COOL_DOWN
    assert verify_access_token(token).subject == alice


def test_is_read_anew_after_keys_were_made() -> None:
    forget_key_ring()
    current_key_ring()

    ensure_signing_keys()

    signing_key = current_key_ring().signing_key(Purpose.ACCESS, timezone.now())
    assert [signing_key.kid] == kids(Purpose.ACCESS)
