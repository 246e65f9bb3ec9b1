"""tokens.client_keys: which public keys a client may have."""

import base64
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from accounts.tokens.client_keys import MOST_CLIENT_KEYS, check_jwks, client_keys
from batchtokens_verifier.errors import InvalidFieldsError
from tests.assertions import ALGORITHMS, new_key, public

EC = public(new_key())["keys"][0]
RSA = public(new_key("RS256"))["keys"][0]


def refusal(jwks: object) -> list[str]:
    with pytest.raises(InvalidFieldsError) as refused:
        check_jwks(jwks)
    return [error.pointer for error in refused.value.errors]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_takes_a_key_of_each_algorithm(alg: str) -> None:
    stored = check_jwks(public(new_key(alg)))

    assert client_keys(stored)["k1"].alg == alg
    assert check_jwks(stored) == stored


def test_keeps_public_members_alone() -> None:
    stored = check_jwks({"keys": [EC | {"x5c": ["…"], "key_ops": ["verify"]}], "more": 1})

    assert stored.keys() == {"keys"}
    assert stored["keys"][0].keys() == {"kid", "alg", "use", "kty", "crv", "x", "y"}


@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_refuses_private_members(name: str) -> None:
    assert refusal({"keys": [EC, RSA | {"kid": "k2", name: "AQAB"}]}) == ["/jwks/keys/1"]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_refuses_private_keys(alg: str) -> None:
    private = dict(new_key(alg).as_dict(private=True))

    assert refusal({"keys": [private]}) == ["/jwks/keys/0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "PS256"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": ""},
        {"alg": ["ES256"]},
        {"kid": ""},
        {"kid": 7},
        {"kid": "k" * 201},
        {"kid": "k\n"},
        {"kty": "oct"},
        {"kty": ["EC"]},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"use": "enc"},
        {"x": "AA"},
        {"x": 7},
        {"y": EC["x"]},  # not on the curve
        {"x": "!"},
    ],
)
def test_refuses_other_keys(changes: dict[str, Any]) -> None:
    assert refusal({"keys": [EC | changes]}) == ["/jwks/keys/0"]


@pytest.mark.parametrize("missing", ["kid", "alg", "kty", "crv", "x", "y"])
def test_refuses_keys_that_lack_a_member(missing: str) -> None:
    key = {name: value for name, value in EC.items() if name != missing}

    assert refusal({"keys": [key]}) == ["/jwks/keys/0"]


@pytest.mark.spec("RFC 7518", "3.3")
def test_refuses_short_and_costly_rsa_keys() -> None:
    for size in (128, 255, 513, 1024):
        modulus = base64.urlsafe_b64encode(b"\xff" * size).rstrip(b"=").decode()
        assert refusal({"keys": [RSA | {"n": modulus}]}) == ["/jwks/keys/0"]
    for exponent in ("Aw", "AQ", "AQABAAAAAAAAAAAAAAE"):
        assert refusal({"keys": [RSA | {"e": exponent}]}) == ["/jwks/keys/0"]


def test_refuses_shared_secrets() -> None:
    key = OctKey.generate_key(256, {"kid": "k1", "alg": "HS256"}).as_dict(private=True)

    assert refusal({"keys": [dict(key)]}) == ["/jwks/keys/0"]


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": []}, "keys", {"keys": None}])
def test_refuses_what_is_no_set(jwks: object) -> None:
    assert refusal(jwks) == ["/jwks"]


def test_refuses_two_keys_of_one_name_and_too_many() -> None:
    many = [EC | {"kid": f"k{n}"} for n in range(MOST_CLIENT_KEYS + 1)]

    assert refusal({"keys": [EC, EC]}) == ["/jwks"]
    assert refusal({"keys": many}) == ["/jwks"]
    assert len(check_jwks({"keys": many[1:]})["keys"]) == MOST_CLIENT_KEYS
    assert refusal({"keys": ["k1"]}) == ["/jwks/keys/0"]


def test_knows_no_key_where_there_is_no_set() -> None:
    assert client_keys({}) == {}


def test_verifies_with_the_public_part() -> None:
    key = client_keys(check_jwks({"keys": [EC]}))["k1"].key

    assert isinstance(key, ECKey)
    assert not key.is_private
