"""Ports for what tests start."""

import os
import secrets
import socket
from itertools import cycle, islice

# Below those that systems give out by themselves (Linux from 32768, others from 49152), so that no
# connection takes one between the look at it and its use.
RANGE = range(20_000, 32_000)
PROCESSES = 16  # that share the tests: each has ports of its own
_NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw15").removeprefix("gw")) % PROCESSES
_OWN = RANGE[_NUMBER::PROCESSES]
_coming = islice(cycle(_OWN), secrets.randbelow(len(_OWN)), None)


def free_port() -> int:
    """Return a port that nobody listens on, and that was not returned lately."""
    while True:
        port = next(_coming)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
