"""An executor that does nothing but answer: it notes what is delivered to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Executor:
    """Answers `status` and `body`; with `held`, only after that was set."""

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    held: threading.Event | None = None
    url: str = ""
    deliveries: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def take(self, webhook_id: str) -> None:
        self.deliveries.append(webhook_id)
        self.arrived.set()
        if self.held is not None:
            self.held.wait(60)


@contextmanager
def listening(executor: Executor) -> Iterator[Executor]:
    """Let it listen on a free port while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            executor.take(self.headers["webhook-id"])
            content = json.dumps(executor.body).encode()
            self.send_response(executor.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        executor.url = f"http://127.0.0.1:{server.server_port}/deliveries"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield executor
        finally:
            server.shutdown()
            thread.join()
