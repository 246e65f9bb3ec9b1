"""Ports that a process is about to listen on."""

import errno
import socket

from accounts.management.base import Stop


def require_free_port(host: str, port: int, *, mend: str) -> None:
    """Raise Stop where the server would end in a traceback; `mend` is what to do about it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            cause = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            raise Stop(f"Port {port} {cause}: {mend}.") from error
