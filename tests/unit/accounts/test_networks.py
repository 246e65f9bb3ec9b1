"""models.networks: where a key may be used from."""

import pytest

from accounts.models.networks import is_within, parse_network


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_reads_networks_and_addresses(text: str, stored: str) -> None:
    assert parse_network(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "192.0.2.7/24",
        "192.0.2.0/33",
        "192.0.2",
        "example.org",
        "2001:db8::1/32",
        "1",
        "\0",
    ],
)
def test_refuses_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|address|Expected|host bits|Octet|empty"):
        parse_network(text)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("192.0.2.0", True),
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("192.0.1.255", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_knows_who_is_inside(address: str, inside: bool) -> None:
    assert is_within(address, ["192.0.2.0/24", "2001:db8::/32"]) is inside
    assert not is_within(address, [])
