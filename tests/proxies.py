"""A TCP proxy that loses or holds back single HTTP messages, for tests of what is lost on the way.

It knows a message by some of its bytes and relays everything else as it comes.
"""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.ports import free_port

CHUNK = 65536
LONGEST_HOLD = 60.0  # seconds: what is forgotten, or never comes, must still end

REDEEM = b"POST /api/v1/redemptions HTTP"
SETTLE = b"/settle HTTP"


@dataclass
class Fault:
    """What happens to the next `times` requests with `marker`, or to their answers.

    `caught` is set when the first has come; `lost` ones never arrive: their connection breaks.
    """

    marker: bytes
    on_answer: bool
    lost: bool
    times: int
    caught: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until the message has come."""
        assert self.caught.wait(LONGEST_HOLD), f"{self.marker!r} did not come"

    def release(self) -> None:
        """Let go of what is held, and meddle no more."""
        self.times = 0
        self.released.set()

    def strike(self) -> bool:
        """Hold the message until it is released; tell whether it goes on."""
        self.caught.set()
        self.released.wait(LONGEST_HOLD)
        return not self.lost


class Proxy(socketserver.ThreadingTCPServer):
    """Relays to `target`, a port of this machine that may change between two connections."""

    allow_reuse_address = True
    daemon_threads = False

    def __init__(self, target: int) -> None:
        self.port = free_port()
        super().__init__(("127.0.0.1", self.port), _Connection)
        self.target = self._first_target = target
        self.answers: list[bytes] = []
        self._faults: list[Fault] = []
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def swallow_request(self, marker: bytes) -> Fault:
        """Let a request come no further; its sender waits until the fault is released."""
        return self._add(Fault(marker, on_answer=False, lost=True, times=1))

    def hold_answer(self, marker: bytes) -> Fault:
        """Let a request through, and keep its answer back until the fault is released."""
        return self._add(Fault(marker, on_answer=True, lost=False, times=1))

    def cut_answer(self, marker: bytes, *, times: int = 1) -> Fault:
        """Let requests through, and break the connection when their answer comes."""
        fault = self._add(Fault(marker, on_answer=True, lost=True, times=times))
        fault.released.set()
        return fault

    def restore(self) -> None:
        """Relay everything to the first target again."""
        with self._lock:
            for fault in self._faults:
                fault.release()
            self.target = self._first_target
            self._faults.clear()
            self.answers.clear()

    def fault_of(self, request: bytes) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.marker in request:
                    fault.times -= 1
                    return fault
        return None

    def keep(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._sockets.update(sockets)

    def forget(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._sockets.difference_update(sockets)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that one side is away is what this is for; the other finds out."""

    def server_close(self) -> None:
        """End every connection and wait for their threads."""
        self.restore()
        with self._lock:
            for each in self._sockets:
                _break(each)
        super().server_close()

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault


class _Connection(socketserver.BaseRequestHandler):
    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        self._fault: Fault | None = None
        with socket.create_connection(("127.0.0.1", self.server.target)) as upstream:
            self.server.keep(self.request, upstream)
            answers = threading.Thread(target=self._relay_answers, args=(upstream,))
            answers.start()
            with suppress(OSError):
                self._relay_requests(upstream)
            with suppress(OSError):
                upstream.shutdown(socket.SHUT_WR)
            answers.join()
            self.server.forget(self.request, upstream)

    def _relay_requests(self, upstream: socket.socket) -> None:
        while data := self.request.recv(CHUNK):
            fault = self.server.fault_of(data)
            if fault and fault.on_answer:
                self._fault = fault
            elif fault and not fault.strike():
                _break(self.request)
                return
            upstream.sendall(data)

    def _relay_answers(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := upstream.recv(CHUNK):
                self.server.answers.append(data)
                fault, self._fault = self._fault, None
                if fault and not fault.strike():
                    break
                self.request.sendall(data)
        _break(self.request)


def _break(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy to a port of this machine while the block lasts."""
    with Proxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
