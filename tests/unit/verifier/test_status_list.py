"""Status lists: what they say, until when, and which are refused."""

import base64
import zlib
from datetime import timedelta
from typing import Any

import pytest

from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.status_list import StatusList, verify_status_list
from tests.unit.verifier.minting import ISSUER, KEYS, NOW
from tests.unit.verifier.status_lists import URI, b64zip, status_claims, status_token

AT = int(NOW.timestamp())


def verified(token: str, **changes: Any) -> StatusList:
    given: dict[str, Any] = {"keys": KEYS, "uri": URI, "now": NOW, "issuer": ISSUER}
    return verify_status_list(token, **given | changes)


@pytest.mark.spec("draft-ietf-oauth-status-list", "4.1")
def test_published_one_bit_example() -> None:
    found = verified(status_token(status_list={"bits": 1, "lst": "eNrbuRgAAhcBXQ"}))

    expected = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert [found.value(index) for index in range(16)] == expected


@pytest.mark.spec("draft-ietf-oauth-status-list", "4.2")
def test_published_two_bit_example() -> None:
    found = verified(status_token(status_list={"bits": 2, "lst": "eNo76fITAAPfAgc"}))

    expected = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    assert [found.value(index) for index in range(12)] == expected


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_each_width_is_read_from_the_lowest_bits(bits: int) -> None:
    found = verified(status_token(status_list={"bits": bits, "lst": b64zip(b"\x93\x01")}))

    whole = int.from_bytes(b"\x93\x01", "little")
    expected = [whole >> (bits * index) & (2**bits - 1) for index in range(16 // bits)]
    assert [found.value(index) for index in range(16 // bits)] == expected


@pytest.mark.parametrize("idx", [-1, 8, 2**20, 2**60])
def test_entry_that_is_not_there(idx: int) -> None:
    with pytest.raises(TokenNotValid):
        verified(status_token(status_list={"bits": 2, "lst": b64zip(b"\0\0")})).value(idx)


@pytest.mark.parametrize(("seconds", "stale", "over"), [(299, False, False), (300, True, False)])
def test_list_grows_stale_at_its_ttl(seconds: int, stale: bool, over: bool) -> None:
    found, at = verified(status_token()), NOW + timedelta(seconds=seconds)

    assert (found.age(at), found.is_stale(at), found.is_over(at)) == (seconds, stale, over)


@pytest.mark.parametrize(("seconds", "over"), [(3599, False), (3600, True), (3601, True)])
def test_list_says_nothing_after_exp(seconds: int, over: bool) -> None:
    at = NOW + timedelta(seconds=seconds)

    assert verified(status_token()).is_over(at) is over
    if over:
        with pytest.raises(TokenNotValid):
            verified(status_token(), now=at)


def test_list_without_ttl_is_asked_for_again_all_the_same() -> None:
    assert verified(status_token(ttl=None)).ttl == 300


def bomb() -> str:
    engine = zlib.compressobj(9)
    data = b"".join(engine.compress(bytes(2**20)) for _ in range(64)) + engine.flush()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_largest_list_is_taken_and_one_byte_more_is_not() -> None:
    largest = verified(status_token(status_list={"bits": 8, "lst": b64zip(bytes(2**20))}))

    assert largest.value(2**20 - 1) == 0
    with pytest.raises(TokenNotValid) as refusal:
        verified(status_token(status_list={"bits": 8, "lst": b64zip(bytes(2**20 + 1))}))
    assert refusal.value.reason == "status list size"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": "https://id.example/oauth/status/other"}, "status list sub"),
        ({"sub": None}, "status list sub"),
        ({"iss": "https://evil.example"}, "status list iss"),
        ({"iat": AT + 11}, "status list iat"),
        ({"iat": None}, "status list iat"),
        ({"iat": True}, "status list iat"),
        ({"exp": AT + 3601}, "status list exp"),
        ({"exp": AT}, "status list exp"),
        ({"exp": None}, "status list exp"),
        ({"exp": float(AT + 60)}, "status list exp"),
        ({"iat": AT - 3600, "exp": AT}, "status list expired"),
        ({"ttl": 0}, "status list ttl"),
        ({"ttl": -1}, "status list ttl"),
        ({"ttl": "300"}, "status list ttl"),
        ({"status_list": None}, "status list members"),
        ({"status_list": []}, "status list members"),
        ({"status_list": {"bits": 3, "lst": b64zip(b"\0")}}, "status list members"),
        ({"status_list": {"bits": True, "lst": b64zip(b"\0")}}, "status list members"),
        ({"status_list": {"bits": "2", "lst": b64zip(b"\0")}}, "status list members"),
        ({"status_list": {"bits": 2}}, "status list members"),
        ({"status_list": {"bits": 2, "lst": b64zip(b"\0") + "="}}, "base64url"),
        ({"status_list": {"bits": 2, "lst": ""}}, "status list data"),
        ({"status_list": {"bits": 2, "lst": "AAAA"}}, "status list data"),
        ({"status_list": {"bits": 2, "lst": b64zip(b"\0" * 99)[:-8]}}, "status list data"),
        ({"status_list": {"bits": 2, "lst": b64zip(b"\0", more=b"\0")}}, "status list data"),
        ({"status_list": {"bits": 2, "lst": bomb()}}, "status list size"),
        ({"key": "operation"}, "key purpose"),
        ({"key": "receipt"}, "key purpose"),
        ({"typ": "at+jwt"}, "typ"),
        ({"typ": "JWT"}, "typ"),
    ],
)
def test_other_lists_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenNotValid) as refusal:
        verified(status_token(**changes))

    assert refusal.value.reason == reason


def test_list_for_sale_without_an_issuer() -> None:
    assert verified(status_token(iss=None)).uri == status_claims()["sub"]


def test_list_is_bounded_before_it_is_read() -> None:
    with pytest.raises(TokenNotValid) as refusal:
        verified("a" * 524_289)

    assert refusal.value.reason == "size"
