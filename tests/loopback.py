"""Small HTTP servers on loopback, with real sockets and threads, that a test scripts."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request.  form: the last value of each parameter of its body."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass(frozen=True)
class Said:
    """One answer; its pieces are sent one by one."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # Writes the whole answer by itself, header lines and all.
    raw: Callable[[Any], None] | None = None


Route = Callable[[Asked], Said]


class Loopback:
    """Answers by `routes`; `asked` keeps what came."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def answer(self, asked: Asked) -> Said:
        self.asked.append(asked)
        route = self.routes.get(asked.path)
        return route(asked) if route else Said(b"{}", 404)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # threads that race come all at once
    block_on_close = False  # a thread that drips an answer would hold the test up

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a hostile server's clients hang up on it."""


def _handler_of(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(b"")

        def do_POST(self) -> None:
            self._respond(self.rfile.read(int(self.headers["Content-Length"])))

        def _respond(self, body: bytes) -> None:
            form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
            asked = Asked(urlsplit(self.path).path, dict(self.headers), form)
            said = server.answer(asked)
            if said.raw:
                said.raw(self.wfile)
                return
            self.send_response(said.status)
            for name, value in ({"Content-Length": str(len(said.body))} | said.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler
