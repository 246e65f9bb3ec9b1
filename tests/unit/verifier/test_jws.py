"""Attacks on the signature layer; each is refused for its own reason, which only the log sees."""

from typing import Any

import pytest

from batchtokens_verifier.errors import InvalidKeySet, OperationTokenNotValid, TokenNotValid
from batchtokens_verifier.jws import (
    MAX_TOKEN_BYTES,
    TOKEN_CLASSES,
    KeySet,
    Purpose,
    unverified_kid,
    verify_jws,
)
from tests.unit.verifier.minting import KEYS, SIGNING_KEYS, b64, mint
from tests.unit.verifier.vectors import load

JWKS: list[dict[str, Any]] = load("tokens")["jwks"]["keys"]
KID = SIGNING_KEYS["operation"]["kid"]
GOOD_HEADER = {"alg": "ES256", "kid": KID, "typ": "at+jwt"}
STRANGER = {name: SIGNING_KEYS["stranger"][name] for name in ("kty", "crv", "x", "y")}


def verify(token: str, purpose: Purpose = Purpose.OPERATION) -> dict[str, Any]:
    return verify_jws(token, keys=KEYS, purpose=purpose, typ=TOKEN_CLASSES[purpose])


def reason(token: str) -> str:
    with pytest.raises(TokenNotValid) as refusal:
        verify(token)
    return refusal.value.reason


@pytest.mark.parametrize("key", ["operation", "operation_eddsa"])
def test_good_token_gives_its_claims(key: str) -> None:
    assert verify(mint({"a": "b"}, key=key)) == {"a": "b"}


@pytest.mark.spec("RFC 8725", "3.1")
@pytest.mark.parametrize("alg", ["none", "None", "HS256", "ES384", "EdDSA", "es256", "", None, 256])
def test_algorithm_is_the_keys(alg: object) -> None:
    assert reason(mint({}, header=GOOD_HEADER | {"alg": alg})) == "algorithm"


@pytest.mark.parametrize(
    "name", ["jwk", "jku", "x5u", "x5c", "x5t", "crit", "b64", "cty", "zip", "iss", "KID"]
)
def test_other_header_members_are_refused(name: str) -> None:
    assert reason(mint({}, header=GOOD_HEADER | {name: STRANGER})) == "header members"


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_each_header_member_is_needed(name: str) -> None:
    header = {other: value for other, value in GOOD_HEADER.items() if other != name}

    assert reason(mint({}, header=header)) == "header members"


@pytest.mark.spec("RFC 8725", "3.11")
@pytest.mark.parametrize(
    "typ", ["JWT", "AT+JWT", "application/at+jwt", "rt+jwt", "receipt+jwt", "", None, ["at+jwt"]]
)
def test_typ_is_exact(typ: Any) -> None:
    assert reason(mint({}, header=GOOD_HEADER | {"typ": typ})) == "typ"


@pytest.mark.parametrize("key", ["access", "refresh", "receipt"])
def test_key_of_another_purpose_is_refused(key: str) -> None:
    assert reason(mint({}, key=key)) == "key purpose"


@pytest.mark.parametrize("kid", ["unknown", "", None, 1, ["a"], {}])
def test_unknown_kid_is_refused(kid: object) -> None:
    assert reason(mint({}, header=GOOD_HEADER | {"kid": kid})) == "unknown key"


def test_strangers_signature_is_refused() -> None:
    assert reason(mint({}, key="stranger", kid=KID)) == "signature"


@pytest.mark.parametrize("length", [0, 1, 63, 65, 72])
def test_signature_of_another_length_is_refused(length: int) -> None:
    message, _, _ = mint({}).rpartition(".")

    assert reason(f"{message}.{b64(bytes(length))}") in {"signature", "shape"}


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"ES256","alg":"ES256","kid":"a","typ":"at+jwt"}',
        b'{"alg":"ES256",}',
        b"[]",
        b'"ES256"',
        b"null",
        b"\xff",
        b"[" * 900,
    ],
)
def test_header_is_one_strict_object(header: bytes) -> None:
    assert reason(mint({}, header=header)) == "JSON"


@pytest.mark.parametrize(
    "claims",
    [
        b'{"exp":1,"exp":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b"[]",
        b"1",
        b"{} ",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 5000,
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_claims_are_one_strict_object(claims: bytes) -> None:
    if claims == b"{} ":  # white space inside of the signed bytes is JSON's own
        assert verify(mint(claims)) == {}
        return
    assert reason(mint(claims)) == "JSON"


@pytest.mark.parametrize(
    "spoil",
    [
        " {}",
        "{} ",
        "{}\n",
        "\t{}",
        "{}.",
        ".{}",
        "{}.AAAA",
        "{}=",
        "{}\x00",
        "{}é",
        "Bearer {}",
    ],
)
def test_token_is_taken_as_sent(spoil: str) -> None:
    assert reason(spoil.format(mint({}))) == "shape"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a..b", "a.b.c.d", "a.b.c"])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert reason(token) in {"shape", "base64url"}


@pytest.mark.parametrize("token", [None, 1, b"a.b.c", ["a.b.c"]])
def test_token_is_a_string(token: Any) -> None:
    assert reason(token) == "type"


def test_base64url_is_canonical() -> None:
    token = mint({})
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(token[-1]) ^ 1]  # differs in the bits that decoding drops

    assert reason(token[:-1] + twin) == "base64url"


@pytest.mark.parametrize(("over", "expected"), [(-1, "shape"), (0, "shape"), (1, "size")])
def test_size_comes_first(over: int, expected: str) -> None:
    assert reason("A" * (MAX_TOKEN_BYTES + over)) == expected


def test_refusals_carry_no_token_material() -> None:
    token = mint({"secret": "the-secret"}, key="stranger", kid=KID)

    with pytest.raises(TokenNotValid) as refusal:
        verify(token)

    shown = f"{refusal.value} {refusal.value!r} {refusal.value.detail} {refusal.value.members()}"
    assert refusal.value.detail == ""
    assert not any(part in shown for part in token.split("."))


def test_every_cause_gives_one_answer() -> None:
    first, second = OperationTokenNotValid("signature"), OperationTokenNotValid("aud")

    assert (str(first), first.detail, first.status) == (str(second), second.detail, second.status)


def test_kid_can_be_read_before_verifying() -> None:
    assert unverified_kid(mint({}, key="stranger")) == SIGNING_KEYS["stranger"]["kid"]


@pytest.mark.parametrize(
    "token",
    ["", "a.b.c", mint({}, header=[]), mint({}, header={"kid": 1})],
    ids=["empty", "no base64url", "no object", "no text"],
)
def test_malformed_token_has_no_kid(token: str) -> None:
    assert unverified_kid(token) is None


def jwk(**changes: Any) -> dict[str, Any]:
    members = JWKS[0] | changes
    return {name: value for name, value in members.items() if value is not ...}


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": ...},
        {"purpose": "backup"},
        {"purpose": ["access"]},
        {"alg": ...},
        {"alg": "RS256"},
        {"alg": "none"},
        {"kid": ...},
        {"kid": 1},
        {"use": "enc"},
    ],
)
def test_keys_for_others_are_ignored(changes: dict[str, Any]) -> None:
    keys = KeySet.from_jwks({"keys": [jwk(**changes), JWKS[1], "key", None]})

    assert list(keys.by_kid) == [JWKS[1]["kid"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"crv": "P-384"},
        {"kty": "OKP"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": ...},
        {"alg": "EdDSA"},
        {"x": ...},
        {"x": "AAAA"},
        {"x": 1},
        {"y": None},
        {"y": JWKS[0]["x"]},
    ],
)
def test_malformed_key_spoils_the_set(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidKeySet):
        KeySet.from_jwks({"keys": [jwk(**changes)]})


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": None}, "keys"])
def test_what_is_no_key_set_is_refused(jwks: object) -> None:
    with pytest.raises(InvalidKeySet):
        KeySet.from_jwks(jwks)


def test_two_keys_with_one_kid_are_refused() -> None:
    with pytest.raises(InvalidKeySet):
        KeySet.from_jwks({"keys": [JWKS[0], JWKS[1] | {"kid": JWKS[0]["kid"]}]})


@pytest.mark.parametrize(("count", "accepted"), [(99, True), (100, True), (101, False)])
def test_key_sets_are_bounded(count: int, accepted: bool) -> None:
    jwks = {"keys": [{"kty": "RSA"}] * count}

    if accepted:
        assert not KeySet.from_jwks(jwks).by_kid
        return
    with pytest.raises(InvalidKeySet):
        KeySet.from_jwks(jwks)


def test_private_members_are_not_read() -> None:
    private = SIGNING_KEYS["operation"] | {"purpose": "operation"}

    key = KeySet.from_jwks({"keys": [private]}).get(KID)

    assert key is not None
    assert not key.key.is_private
    assert SIGNING_KEYS["operation"]["d"] not in repr(key.key.as_dict())
