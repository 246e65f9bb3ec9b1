"""ID tokens that are forged, confused or somebody else's: none of them ends in a sign-in."""

import hmac
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from batchtokens_verifier.canonical import b64url
from tests.federation import Browser, reason_of, refused
from tests.identity_providers import ABSENT, CLIENT_SECRET, OidcProvider, as_json, rsa_key
from tests.tokens import assemble, forge

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("alice")]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://rogue.example"}, "another issuer"),
        ({"iss": ABSENT}, "another issuer"),
        ({"aud": "another client"}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": ABSENT}, "another audience"),
        ({"aud": ["authproject at corp", "another"]}, "another authorized party"),
        ({"aud": ["authproject at corp", "b"], "azp": "b"}, "another authorized party"),
        ({"azp": "another client"}, "another authorized party"),
        ({"exp": 1}, "outdated"),
        ({"exp": ABSENT}, "no exp"),
        ({"exp": "4000000000"}, "no exp"),
        ({"exp": True}, "no exp"),
        ({"iat": ABSENT}, "no iat"),
        ({"iat": 1}, "issued long ago"),
        ({"iat": 4_000_000_000}, "issued in the future"),
        ({"nbf": 4_000_000_000}, "not valid yet"),
        ({"nonce": ABSENT}, "another nonce"),
        ({"nonce": ""}, "another nonce"),
        ({"nonce": "another"}, "another nonce"),
        ({"nonce": ["another"]}, "another nonce"),
        ({"sub": ABSENT}, "no subject"),
        ({"sub": ""}, "no subject"),
        ({"sub": 7}, "no subject"),
        ({"sub": "x" * 256}, "no subject"),
        ({"sub": "ü"}, "a subject that is not ASCII"),
        ({"sub": "user-1\x00"}, "a subject that is not ASCII"),
        ({"at_hash": "another"}, "another access token"),
        ({"at_hash": None}, "another access token"),
    ],
    ids=str,
)
def test_refuses_claims(
    browser: Browser, corp: OidcProvider, claims: dict[str, Any], reason: str
) -> None:
    corp.claims = claims

    assert refused(browser.sign_in(corp))
    assert reason_of() == reason


def _unsigned(header: Any, claims: Any) -> str:
    return assemble({"alg": "none"}, claims)


def _unsigned_with_a_tail(header: Any, claims: Any) -> str:
    return assemble({"alg": "none"}, claims) + "AAAA"


def _with_the_public_key_as_secret(header: Any, claims: Any) -> str:
    message = assemble(header | {"alg": "HS256"}, claims).rpartition(".")[0]
    pem = rsa_key().as_pem(private=False)
    return f"{message}.{b64url(hmac.digest(pem, message.encode(), 'sha256'))}"


def _with_the_client_secret(header: Any, claims: Any) -> str:
    message = assemble({"alg": "HS256"}, claims).rpartition(".")[0]
    return f"{message}.{b64url(hmac.digest(CLIENT_SECRET.encode(), message.encode(), 'sha256'))}"


def _with_a_key_of_its_own(header: Any, claims: Any) -> str:
    return forge(header, claims, RSAKey.generate_key(2048))


def _with_another_alg_of_the_same_key(header: Any, claims: Any) -> str:
    return forge(header | {"alg": "PS256"}, claims, rsa_key())


def _with_a_longer_hash(header: Any, claims: Any) -> str:
    return forge(header | {"alg": "RS512"}, claims, rsa_key())


def _with_no_signature(header: Any, claims: Any) -> str:
    return assemble(header, claims).rstrip(".")


def _with_padding(header: Any, claims: Any) -> str:
    return forge(header, claims, rsa_key()) + "="


def _huge(header: Any, claims: Any) -> str:
    return forge(header, claims | {"padding": "x" * 20_000}, rsa_key())


def _with_another_key_under_this_kid(header: Any, claims: Any) -> str:
    return forge(header | {"alg": "ES256"}, claims, ECKey.generate_key("P-256"))


ALGORITHM = "an algorithm or key that we do not take"


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        (_unsigned, "no ID token"),
        (_unsigned_with_a_tail, ALGORITHM),
        (_with_the_public_key_as_secret, ALGORITHM),
        (_with_the_client_secret, ALGORITHM),
        (_with_a_longer_hash, ALGORITHM),
        (_with_a_key_of_its_own, "a wrong signature"),
        (_with_another_alg_of_the_same_key, "no key, or several, of that name"),
        (_with_another_key_under_this_kid, "no key, or several, of that name"),
        (_with_no_signature, "no ID token"),
        (_with_padding, "no ID token"),
        (_huge, "no ID token"),
    ],
)
def test_refuses_signatures(
    browser: Browser, corp: OidcProvider, sign: Callable[[Any, Any], str], reason: str
) -> None:
    corp.sign = sign

    assert refused(browser.sign_in(corp))
    assert reason_of() == reason


@pytest.mark.parametrize(
    ("member", "brought"),
    [
        ("jwk", ECKey.generate_key("P-256").as_dict(private=False)),
        ("jku", "{rogue}/jwks"),
        ("x5u", "{rogue}/certificate"),
        ("x5c", ["MIIB"]),
        ("crit", ["exp"]),
        ("b64", True),
        ("kid", "../../rogue"),
        ("kid", ["rsa"]),
        ("typ", "at+jwt"),
    ],
)
def test_follows_nothing_in_the_header(
    browser: Browser, corp: OidcProvider, rogue: OidcProvider, member: str, brought: Any
) -> None:
    value = brought.format(rogue=rogue.url) if isinstance(brought, str) else brought

    def sign(header: dict[str, Any], claims: Any) -> str:
        """Sign with the provider's own key: the header alone is what is wrong."""
        message = assemble(header | {member: value}, claims).rpartition(".")[0]
        algorithm = JWSRegistry.algorithms["RS256"]
        return f"{message}.{b64url(algorithm.sign(message.encode(), rsa_key()))}"

    corp.sign = sign

    assert refused(browser.sign_in(corp))
    assert "signature" not in reason_of()
    assert rogue.paths() == []


def test_refuses_two_keys_of_one_name(browser: Browser, corp: OidcProvider) -> None:
    another = RSAKey.generate_key(2048)
    corp.jwks.append(another.as_dict(private=False) | {"kid": "rsa"})

    assert refused(browser.sign_in(corp))


@pytest.mark.parametrize("bits", [1024, 512])
def test_refuses_short_keys(browser: Browser, corp: OidcProvider, bits: int) -> None:
    numbers = rsa_key().as_dict(private=False)
    short = b64url(int.from_bytes(b"\xff" * (bits // 8)).to_bytes(bits // 8))
    corp.jwks = [numbers | {"kid": "rsa", "n": short}]

    assert refused(browser.sign_in(corp))
    assert reason_of() == "an RSA key that is too short, or too long"


def test_refuses_too_many_keys(browser: Browser, corp: OidcProvider) -> None:
    corp.routes["/jwks"] = lambda _: as_json({"keys": [{}] * 101})

    assert refused(browser.sign_in(corp))
    assert reason_of() == "no key set"
