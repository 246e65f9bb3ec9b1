"""tokens.assertions: what a client's assertion must be, without the database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from accounts.tokens.assertions import MAX_ASSERTION_BYTES, parse_assertion, verify_assertion
from accounts.tokens.client_keys import ClientKey, check_jwks, client_keys
from batchtokens_verifier.errors import TokenNotValid
from tests.assertions import ALGORITHMS, Key, claims, new_key, public, sign

KEY = new_key()
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())
AUDIENCES = (settings.ISSUER_URL, f"{settings.ISSUER_URL}/oauth/token")


def keys_of(*keys: Key) -> dict[str, ClientKey]:
    return client_keys(check_jwks(public(*keys)))


def good(**changes: Any) -> dict[str, Any]:
    return claims(**{"iat": SECOND, "exp": SECOND + 60, **changes})


def verify(text: str, *keys: Key, now: datetime = NOW) -> Any:
    known = keys_of(*(keys or (KEY,)))
    return verify_assertion(parse_assertion(text), keys=known, audiences=AUDIENCES, now=now)


def refuses(text: str, *keys: Key, because: str) -> bool:
    with pytest.raises(TokenNotValid) as refusal:
        verify(text, *keys)
    return refusal.value.reason == because


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_takes_every_algorithm(alg: str) -> None:
    key = new_key(alg)

    assert verify(sign(key, good(jti="once")), key).jti == "once"


def test_takes_the_client_s_only_key_without_its_name() -> None:
    assert verify(sign(KEY, good(), kid=None))
    assert refuses(sign(KEY, good(), kid=None), KEY, new_key(kid="k2"), because="unknown key")


@pytest.mark.parametrize("typ", [None, "JWT", "client-authentication+jwt"])
def test_takes_the_types_of_assertions(typ: str | None) -> None:
    assert verify(sign(KEY, good(), typ=typ))


@pytest.mark.parametrize("audience", AUDIENCES)
def test_takes_the_server_and_the_endpoint(audience: str) -> None:
    assert verify(sign(KEY, good(aud=audience)))


@pytest.mark.parametrize(
    "audience",
    [
        None,
        "",
        "https://other.example",
        f"{settings.ISSUER_URL}/",
        f"{settings.ISSUER_URL}/oauth/introspect",
        [settings.ISSUER_URL],
        [settings.ISSUER_URL, "https://other.example"],
        {"aud": settings.ISSUER_URL},
        7,
    ],
)
def test_refuses_every_other_audience(audience: Any) -> None:
    assert refuses(sign(KEY, good(aud=audience)), because="aud")


@pytest.mark.spec("RFC 7523", "3")
@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"sub": None}, "sub"),
        ({"sub": "other"}, "sub"),
        ({"sub": ["gateway"]}, "sub"),
        ({"iss": None}, "iss"),
        ({"iss": ["gateway"]}, "iss"),
        ({"iss": "gate\0way", "sub": "gate\0way"}, "iss"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "j" * 201}, "jti"),
        ({"exp": None}, "expired"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": SECOND + 60.5}, "exp"),
        ({"exp": 10**300}, "exp too far ahead"),
        ({"iat": "now"}, "iat"),
        ({"nbf": SECOND + 11}, "not yet valid"),
        ({"iat": SECOND + 11}, "not yet valid"),
    ],
)
def test_refuses_other_claims(changes: dict[str, Any], because: str) -> None:
    assert refuses(sign(KEY, good(**changes)), because=because)


@pytest.mark.parametrize(("offset", "opens"), [(-1, True), (0, False), (1, False)])
def test_ends_when_it_says(offset: int, opens: bool) -> None:
    text = sign(KEY, good(exp=SECOND))
    now = NOW + timedelta(seconds=offset)

    assert is_good(lambda: verify(text, now=now)) is opens


@pytest.mark.parametrize(("ahead", "opens"), [(309, True), (310, True), (311, False)])
def test_lives_five_minutes_by_a_clock_ten_seconds_off(ahead: int, opens: bool) -> None:
    assert is_good(lambda: verify(sign(KEY, good(exp=SECOND + ahead)))) is opens


def test_may_be_dated_ten_seconds_ahead() -> None:
    assert verify(sign(KEY, good(iat=SECOND + 10, nbf=SECOND + 10)))


def test_refuses_another_key_s_signature() -> None:
    stranger = new_key()

    assert refuses(sign(stranger, good()), because="signature")
    assert refuses(sign(stranger, good(), kid="other"), because="unknown key")


def test_pins_the_algorithm_to_the_key() -> None:
    rsa = new_key("RS256")

    assert refuses(sign(rsa, good(), alg="PS256"), rsa, because="algorithm")
    for alg in ("none", "HS256", "es256", "", 7, None, ["ES256"]):
        text = sign(KEY, good(), alg=alg)
        because = "header members" if alg is None else "algorithm"
        assert refuses(text, because=because)


@pytest.mark.spec("RFC 8725", "3.10")
@pytest.mark.parametrize("name", ["crit", "jwk", "jku", "x5u", "x5c", "b64", "cty", "zip"])
def test_follows_nothing_in_the_header(name: str) -> None:
    text = sign(KEY, good(), **{name: public(KEY)["keys"][0]})

    assert refuses(text, because="header members")


@pytest.mark.parametrize("typ", ["at+jwt", "jwt ", "", 7, ["JWT"], {"JWT": 1}])
def test_refuses_other_types(typ: Any) -> None:
    assert refuses(sign(KEY, good(), typ=typ), because="typ")


@pytest.mark.parametrize("kid", [7, ["k1"], {"k1": 1}, ""])
def test_refuses_other_names_of_keys(kid: Any) -> None:
    assert refuses(sign(KEY, good(), kid=kid), because="unknown key")


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "shape"),
        ("a.b", "shape"),
        ("a.b.c.d", "shape"),
        ("a.b.c ", "shape"),
        ("a.b=.c", "shape"),
        ("a.b.c\n", "shape"),
        ("é.b.c", "shape"),
        (f"a.{'b' * MAX_ASSERTION_BYTES}.c", "size"),
        ("a.b.c", "base64url"),
    ],
)
def test_refuses_what_is_no_assertion(text: str, because: str) -> None:
    assert refuses(text, because=because)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'"gateway"',
        b'{"iss":"gateway","iss":"other"}',
        b'{"iss":"gateway","exp":NaN}',
        b"\xff",
        b"[" * 2000,
    ],
)
def test_refuses_what_is_no_object(body: bytes) -> None:
    assert refuses(sign(KEY, body), because="JSON")


def test_refuses_an_altered_byte_anywhere() -> None:
    text = sign(KEY, good())
    places = [place for place in range(0, len(text), 7) if text[place] != "."]

    for place in places:
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(TokenNotValid):
            verify(text[:place] + other + text[place + 1 :])


def is_good(act: Callable[[], object]) -> bool:
    try:
        act()
    except TokenNotValid:
        return False
    return True
