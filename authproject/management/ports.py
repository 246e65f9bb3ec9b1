"""Ports that a process is about to listen on."""

import errno
import socket

from accounts.management.base import Stop, UsageError


def require_free_port(host: str, port: int, *, mend: str) -> None:
    """Raise Stop where the server would end in a traceback; `mend` is what to do about it.

    Raises UsageError for a host that is no address of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (socket.gaierror, UnicodeError) as error:
            raise _no_address(host) from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise _no_address(host) from error
            taken = error.errno == errno.EADDRINUSE
            cause = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            raise Stop(f"Port {port} {cause}: {mend}.") from error


def _no_address(host: str) -> UsageError:
    return UsageError(f"{host} is no address of this machine: choose another with --host.")
