"""crypto: sealed fields, digests, the bounded hasher."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.crypto import keyed_digests, open_sealed, seal, secret_digest
from accounts.crypto.passwords import BoundedArgon2PasswordHasher
from accounts.errors import SealBroken

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]


def opens(sealed: bytes, context: str = "here") -> bool:
    try:
        open_sealed(sealed, context=context)
    except SealBroken:
        return False
    return True


@given(st.binary(max_size=200), st.text(max_size=50))
def test_opens_what_was_sealed(plaintext: bytes, context: str) -> None:
    assert open_sealed(seal(plaintext, context=context), context=context) == plaintext


def test_opens_nowhere_else() -> None:
    assert not opens(seal(b"secret", context="here"), "there")


def test_never_seals_alike() -> None:
    assert seal(b"secret", context="here") != seal(b"secret", context="here")


def test_refuses_every_changed_byte() -> None:
    sealed = seal(b"secret", context="here")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert not opens(bytes(changed))


def test_refuses_every_truncation() -> None:
    sealed = seal(b"secret", context="here")

    assert not any(opens(sealed[:length]) for length in range(len(sealed)))


def test_seals_with_the_first_key_and_opens_with_all(settings: Any) -> None:
    sealed = seal(b"secret", context="here")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    resealed = seal(b"secret", context="here")

    assert opens(sealed)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert not opens(sealed)
    assert opens(resealed)


def test_knows_digests_of_earlier_keys(settings: Any) -> None:
    (before,) = keyed_digests("purpose", "value")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    first, *others = keyed_digests("purpose", "value")

    assert before in others
    assert first != before


def test_keeps_purposes_apart() -> None:
    assert keyed_digests("one", "value") != keyed_digests("two", "value")


def test_digests_as_sha_256() -> None:
    # FIPS 180-4, the example "abc".
    assert secret_digest("abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_hashes_passwords_by_owasps_parameters() -> None:
    hasher = BoundedArgon2PasswordHasher()

    encoded = hasher.encode("a long enough passphrase", hasher.salt())

    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert hasher.verify("a long enough passphrase", encoded)
    assert not hasher.verify("another passphrase", encoded)
