"""A threading WSGI server out of the standard library: quiet, and not patient with slow callers."""

import socket
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from examples.savings.web import Application

CALLER_TIMEOUT = 5  # seconds without a byte


class RequestHandler(WSGIRequestHandler):
    timeout = CALLER_TIMEOUT

    def log_message(self, *_: object, **__: object) -> None:
        """Say nothing: the request line may hold what belongs in no log."""


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """One thread a request; `server_close` waits for the requests that are being answered."""

    daemon_threads = False
    request_queue_size = 128

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Leave out callers that went away; show every other error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def bind(host: str, port: int, application: Application) -> Server:
    """Listen at once; answer after `serve_forever`. Raises OSError when the port is taken."""
    server = Server((host, port), RequestHandler)
    server.set_app(application)
    return server
