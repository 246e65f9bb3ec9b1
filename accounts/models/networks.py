"""Networks in CIDR notation (RFC 4632 section 3.1): where a key may be used from."""

import ipaddress
from collections.abc import Iterable


def parse_network(text: str) -> str:
    """Return the network as it is stored; a bare address is a network of one.

    Raises ValueError, also where bits behind the prefix are set: which network was meant?
    """
    return str(ipaddress.ip_network(text))


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Say whether an address lies in one of these networks; no address lies in none."""
    try:
        where = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(where in ipaddress.ip_network(network) for network in networks)
