"""Where private keys are: a small interface, and its implementation by sealed rows.

A row counts only while the store vouches for everything that it says: who could write rows, but
not seal them, would otherwise choose whose signatures are believed, and until when.
"""

import json
from datetime import datetime
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from accounts.crypto import open_sealed, seal
from accounts.errors import SealBroken
from accounts.models import SigningKey
from accounts.tokens.errors import NoSigningKey, SigningKeyNotOurs
from batchtokens_verifier.jws import Purpose

# RFC 7518 section 6.2.1.1: the curve of ES256.
CURVE = "P-256"
PUBLIC_MEMBERS = ("kty", "crv", "x", "y")
# RFC 7518 section 3.4: R and S, each as so many bytes.
_COORDINATE = 32
_ES256 = ECDSA(SHA256())


class KeyPair(Protocol):
    """A key that its store vouches for."""

    def public_jwk(self) -> dict[str, Any]:
        """Return the public part (RFC 7517), nothing else."""

    def sign(self, message: bytes) -> bytes:
        """Return the JWS signature of a signing input (RFC 7515 section 5.1).

        Raises NoSigningKey where the private part was destroyed.
        """


class KeyStore(Protocol):
    """Makes, opens and destroys keys; what is told of them is in rows, which it does not save."""

    def generate(self, *, purpose: Purpose, activates_at: datetime) -> SigningKey:
        """Draw a key pair; its id is its RFC 7638 thumbprint."""

    def open(self, row: SigningKey) -> KeyPair:
        """Return the row's key.

        Raises SigningKeyNotOurs unless the store has vouched for exactly this row.
        """

    def amend(self, row: SigningKey, *, activates_at: datetime) -> None:
        """Let the row's key sign from another instant on, and vouch for that."""

    def destroy(self, row: SigningKey, *, at: datetime, compromised: bool) -> None:
        """Forget the private part for ever; vouch for when and why.

        The row's former state must not open again from what is left.
        """


class _LocalKey:
    """A key of ES256 in this process's memory."""

    def __init__(self, key: ECKey) -> None:
        self._key = key

    def public_jwk(self) -> dict[str, Any]:
        public = self._key.as_dict(private=False)
        return {name: public[name] for name in PUBLIC_MEMBERS}

    def sign(self, message: bytes) -> bytes:
        private = self._key.private_key
        if private is None:
            raise NoSigningKey
        r, s = decode_dss_signature(private.sign(message, _ES256))
        return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")


class LocalKeyStore:
    """Key pairs sealed in their own rows; the seal's context is all that a row says."""

    def generate(self, *, purpose: Purpose, activates_at: datetime) -> SigningKey:
        pair = ECKey.generate_key(CURVE)
        while pair.thumbprint().startswith("-"):  # at the shell it would read as an option
            pair = ECKey.generate_key(CURVE)
        row = SigningKey(
            kid=pair.thumbprint(),
            purpose=purpose.value,
            public_jwk=_LocalKey(pair).public_jwk(),
            activates_at=activates_at,
        )
        _seal(row, pair, private=True)
        return row

    def open(self, row: SigningKey) -> KeyPair:
        pair = _opened(row)
        if (row.alg, pair.curve_name) != ("ES256", CURVE):
            raise SigningKeyNotOurs("is of an unknown kind")
        key = _LocalKey(pair)
        if key.public_jwk() != row.public_jwk:
            raise SigningKeyNotOurs("shows another key's public part")
        return key

    def amend(self, row: SigningKey, *, activates_at: datetime) -> None:
        pair = _opened(row)
        row.activates_at = activates_at
        _seal(row, pair, private=True)

    def destroy(self, row: SigningKey, *, at: datetime, compromised: bool) -> None:
        pair = _opened(row)
        row.retired_at = row.retired_at or at
        row.compromised_at = at if compromised else None
        _seal(row, pair, private=False)


def _opened(row: SigningKey) -> ECKey:
    try:
        Purpose(row.purpose)
        return ECKey.import_key(
            json.loads(open_sealed(row.private_sealed, context=row.seal_context()))
        )
    except SealBroken:
        raise SigningKeyNotOurs("does not open") from None
    except (ValueError, TypeError, LookupError, JoseError):  # what a later release may have made
        raise SigningKeyNotOurs("is of an unknown kind") from None


def _seal(row: SigningKey, pair: ECKey, *, private: bool) -> None:
    jwk = json.dumps(pair.as_dict(private=private)).encode()
    row.private_sealed = seal(jwk, context=row.seal_context())


key_store: KeyStore = LocalKeyStore()
